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

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.class_name))
    error_message = "A class is named by 1 to 63 characters of a-z, 0-9 and -."
  }
}

variable "is_default" {
  description = "Whether objects that name no class use this one."
  type        = bool
  default     = false
}

variable "operator_role" {
  description = "Name of the operator's role, which gets to use these; empty: another policy of it names them."
  type        = string
}

variable "event_queue" {
  description = "Name of the queue of events, event_queue of the cluster's module."
  type        = string
}

variable "name" {
  description = "Prefix of the names of roles and policies, at most 54 characters; null: one of the cluster and class."
  type        = string
  default     = null
}

variable "data_bucket" {
  description = "Bucket of model archives, captures and queued requests; empty: none."
  type        = string
  default     = ""
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
  description = "IDs of the KMS keys that the class names, as a pattern; empty: none."
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
  description = "Whether the class has network.vpc."
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

variable "image_repository" {
  description = "ECR repositories that workflows push to and the class pulls from."
  type        = string
  default     = "models/*"
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for all roles; null: none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of all taggable resources."
  type        = map(string)
  default     = {}
}
