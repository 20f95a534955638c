variable "cluster_id" {
  description = "Cluster id of the operator, EEP_CLUSTER_ID."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{1,8}$", var.cluster_id))
    error_message = "A cluster id is 1 to 8 characters of a-z and 0-9."
  }
}

variable "class_name" {
  description = "Name of the class that the roles are for."
  type        = string
  default     = "default"
}

variable "trust" {
  description = "How the operator's pods get credentials: IRSA or PodIdentity."
  type        = string
  default     = "PodIdentity"

  validation {
    condition     = contains(["IRSA", "PodIdentity"], var.trust)
    error_message = "Give IRSA or PodIdentity."
  }
}

variable "oidc_issuer" {
  description = "For IRSA: issuer of the cluster, without https://."
  type        = string
  default     = ""
}

variable "namespace" {
  description = "Namespace of the operator."
  type        = string
  default     = "ephemeral-endpoints"
}

variable "service_account" {
  description = "ServiceAccount of the operator."
  type        = string
  default     = "ephemeral-endpoints"
}

variable "name_prefix" {
  description = "Prefix of the names of roles and policies."
  type        = string
  default     = "ephemeral-endpoints"
}

variable "data_bucket" {
  description = "Bucket of model archives, captures and queued requests; empty: none."
  type        = string
  default     = ""
}

variable "reports_bucket" {
  description = "Bucket of the class's comparisons.reportsS3Uri; empty: none."
  type        = string
  default     = ""
}

variable "reports_prefix" {
  description = "Prefix of the class's comparisons.reportsS3Uri."
  type        = string
  default     = "reports"
}

variable "recordings_bucket" {
  description = "Bucket of the class's comparisons.recordings."
  type        = string
  default     = "ephemeral-endpoints-data"
}

variable "recordings_prefix" {
  description = "Prefix of the class's comparisons.recordings."
  type        = string
  default     = "recordings"
}

variable "execution_roles" {
  description = "Names (with their paths) of the class's allowedExecutionRoleArns, as a pattern."
  type        = string
  default     = "ephemeral-endpoints-execution/*"
}

variable "capture_bucket" {
  description = "Bucket of the class's capture.s3Uri; empty: none."
  type        = string
  default     = ""
}

variable "capture_prefix" {
  description = "Prefix of the class's capture.s3Uri."
  type        = string
  default     = "captures"
}

variable "delivery_stream" {
  description = "Existing delivery stream of Firehose, the class's capture.deliveryStream; empty: none."
  type        = string
  default     = ""
}

variable "kinesis_stream" {
  description = "Existing stream of Kinesis, the class's capture.kinesisStream; empty: none."
  type        = string
  default     = ""
}

variable "results_topic" {
  description = "Name of an SNS topic, the class's results.topicArn; empty: none."
  type        = string
  default     = ""
}

variable "artifacts_bucket" {
  description = "Bucket of the class's training.artifacts; empty: none."
  type        = string
  default     = ""
}

variable "artifacts_prefix" {
  description = "Prefix of the class's training.artifacts."
  type        = string
  default     = "artifacts"
}

variable "package_groups" {
  description = "Model package groups of the class's packages.groups, as a pattern."
  type        = string
  default     = "*"
}

variable "training_data_bucket" {
  description = "Bucket of the class's training.data."
  type        = string
  default     = "ephemeral-endpoints-data"
}

variable "kms_keys" {
  description = "IDs of the KMS keys that classes name, as a pattern; empty: none."
  type        = string
  default     = ""
}

variable "reaper" {
  description = "Whether the class has a reaper, which the operator makes."
  type        = bool
  default     = false
}

variable "reaper_topic" {
  description = "ARN of the SNS topic of the reaper; empty: none."
  type        = string
  default     = ""
}

variable "vpc" {
  description = "Whether classes have network.vpc."
  type        = bool
  default     = false
}

variable "postprocessors" {
  description = "SageMaker endpoints of the class's routing.postprocessors in lower case, as a pattern; empty: none."
  type        = string
  default     = ""
}

variable "build_secrets" {
  description = "Prefix of the secrets that builds may mount, before /<class>/; empty: none."
  type        = string
  default     = ""
}

variable "class_repository" {
  description = "Repository that the class names in images.repository.name; empty: none."
  type        = string
  default     = ""
}

variable "notification_topics" {
  description = "SNS topics that classes notify, as a pattern; empty: none."
  type        = string
  default     = ""
}

variable "assumed_role" {
  description = "ARN of the role that the operator assumes for a class in another account; empty: none."
  type        = string
  default     = ""
}

variable "instance_types" {
  description = "Permitted instance types, as patterns."
  type        = list(string)
  default     = ["ml.*"]
}

variable "max_concurrency" {
  description = "Maximum concurrency of a serverless endpoint."
  type        = number
  default     = 200
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for all roles; null: none."
  type        = string
  default     = null
}

variable "domain_name" {
  description = "Custom domain of a class to make, such as previews.example.com, with its certificate; empty: none."
  type        = string
  default     = ""
}

variable "hosted_zone_id" {
  description = "Public hosted zone of the domain in Route 53; empty: you add its DNS records."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags of all taggable resources."
  type        = map(string)
  default     = {}
}

variable "github_repository" {
  description = "owner/name of a GitHub repository whose workflows get a role; empty: none."
  type        = string
  default     = ""
}

variable "github_subject" {
  description = "Rest of the subject of their tokens: pull_request, or ref:refs/heads/main."
  type        = string
  default     = "pull_request"
}

variable "image_repository" {
  description = "ECR repositories that the workflows push to and the class pulls from."
  type        = string
  default     = "models/*"
}

variable "eks_cluster" {
  description = "EKS cluster that the workflows apply objects to."
  type        = string
  default     = "previews"
}
