{{- define "ephemeral-endpoints.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Short enough for "-uninstall", "-shard-63" and the like to fit behind it into a DNS label. */ -}}
{{- define "ephemeral-endpoints.fullname" -}}
{{- $name := include "ephemeral-endpoints.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 48 | trimSuffix "-" -}}
{{- end -}}

{{- /* For cluster-scoped objects: releases in several namespaces may have the same name. It is not repeated. */ -}}
{{- define "ephemeral-endpoints.clusterName" -}}
{{- $full := include "ephemeral-endpoints.fullname" . -}}
{{- $begins := hasPrefix (printf "%s-" $full) (printf "%s-" .Release.Namespace) -}}
{{- ternary .Release.Namespace (printf "%s-%s" $full .Release.Namespace) $begins -}}
{{- end -}}

{{- define "ephemeral-endpoints.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ephemeral-endpoints.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ephemeral-endpoints.labels" -}}
{{- include "ephemeral-endpoints.labelsWith" (list . dict) -}}
{{- end -}}

{{- /* The same and others: the chart's own win over the latter, and these over commonLabels. */ -}}
{{- define "ephemeral-endpoints.labelsWith" -}}
{{- $root := index . 0 -}}
{{- $own := include "ephemeral-endpoints.selectorLabels" $root | fromYaml -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- $_ := set $own "app.kubernetes.io/version" (toString $root.Chart.AppVersion) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- merge $own (index . 1) $root.Values.commonLabels | toYaml -}}
{{- end -}}

{{- /* A file of the chart, whose objects get commonLabels, and the metadata that follow in the list. */ -}}
{{- define "ephemeral-endpoints.file" -}}
{{- $root := index . 0 -}}
{{- $metadata := dict -}}
{{- with $root.Values.commonLabels }}{{ $_ := set $metadata "labels" . }}{{ end -}}
{{- with index . 2 }}{{ $_ := set $metadata "annotations" . }}{{ end -}}
{{- $more := ternary "" (toYaml $metadata | nindent 2) (empty $metadata) -}}
{{- regexReplaceAllLiteral "(?m)^metadata:$" ($root.Files.Get (index . 1)) (print "metadata:" $more) -}}
{{- end -}}

{{- define "ephemeral-endpoints.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "ephemeral-endpoints.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "ephemeral-endpoints.subject" -}}
- kind: ServiceAccount
  name: {{ include "ephemeral-endpoints.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "ephemeral-endpoints.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /*
Operators of two divisions must not be at work at once. This fails where Helm can see that they would be: it sees nothing
when it only renders.
*/ -}}
{{- define "ephemeral-endpoints.checkShards" -}}
{{- range (lookup "apps/v1" "Deployment" .Release.Namespace "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $count := get (.metadata.annotations | default dict) "ephemeral-endpoints.io/shards" -}}
{{- $isOurs := and $count (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) -}}
{{- if and $isOurs (ne $count (toString (int $.Values.shards))) (or .spec.replicas (get .status "replicas")) -}}
{{- fail (printf "shards: replicas of %s shards still run, so the number cannot change to %d. Stop them first: helm upgrade with --reset-then-reuse-values --set replicaCount=0" $count (int $.Values.shards)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The part that the pods of Deployments and Jobs share. */ -}}
{{- define "ephemeral-endpoints.podBasics" -}}
serviceAccountName: {{ include "ephemeral-endpoints.serviceAccountName" . }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ephemeral-endpoints.containerBasics" -}}
image: {{ include "ephemeral-endpoints.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}
