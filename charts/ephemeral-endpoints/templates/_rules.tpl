{{- /* What the operator asks of the API server, by where it asks. Nothing here is wider than its requests. */ -}}

{{- /* Classes are in no namespace. */ -}}
{{- define "ephemeral-endpoints.clusterRules" -}}
- apiGroups: [ephemeral-endpoints.io]
  resources: [ephemeralendpointclasses]
  verbs: [list, watch, patch]
- apiGroups: [ephemeral-endpoints.io]
  resources: [ephemeralendpointclasses/status]
  verbs: [patch]
{{- if not .Values.clusterId }}
# The cluster id is derived from the UID of this namespace unless clusterId sets it.
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end }}
{{- end -}}

{{- define "ephemeral-endpoints.objectRules" -}}
- apiGroups: [ephemeral-endpoints.io]
  resources: [ephemeralendpoints]
  # Stages create their endpoints.
  verbs: [list, watch, create, patch, delete]
- apiGroups: [ephemeral-endpoints.io]
  resources: [modelstages]
  # The removal of the installation deletes them.
  verbs: [list, watch, delete]
- apiGroups: [ephemeral-endpoints.io]
  resources: [modelpromotions]
  verbs: [list, watch, create, delete]
- apiGroups: [ephemeral-endpoints.io]
  resources: [ephemeralendpoints/status, modelstages/status, modelpromotions/status]
  verbs: [patch]
# The Secret with the token of each object, read by name: Secrets are neither listed nor watched. Rotation patches it.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, delete, patch]
# ConfigMaps that objects take variables, and requests and schemas of checks from. Data is read by name; list and watch
# get metadata only, and only while an object refers to a ConfigMap.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
{{ include "ephemeral-endpoints.eventRules" . }}
{{- end -}}

{{- define "ephemeral-endpoints.eventRules" -}}
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "ephemeral-endpoints.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames:
    {{- range $index := until (int .Values.shards) }}
    - {{ include "ephemeral-endpoints.leaseName" (list $ $index) }}
    {{- end }}
  verbs: [get, patch]
{{- end -}}

{{- /* As the operator names it: kube/lease.py. */ -}}
{{- define "ephemeral-endpoints.leaseName" -}}
{{- $values := (index . 0).Values -}}
ephemeral-endpoints
{{- if gt (int $values.shards) 1 }}-shard-{{ index . 1 }}{{ end }}
{{- with $values.namespaces }}-{{ . | uniq | sortAlpha | join "," | sha256sum | trunc 8 }}{{ end }}
{{- end -}}

{{- /* Credentials of forges and of notifications, in the operator's own namespace. */ -}}
{{- define "ephemeral-endpoints.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- range .Values.secrets | uniq | sortAlpha }}
    - {{ . }}
    {{- end }}
  verbs: [get]
{{- end -}}

{{- define "ephemeral-endpoints.buildRules" -}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end -}}

{{- /* Of a Job that puts load on an endpoint, whose result is in its Pod's status. */ -}}
{{- define "ephemeral-endpoints.loadRules" -}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end -}}
