variable "cluster_id" {
  description = "Cluster id of the operator, EEP_CLUSTER_ID."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{1,8}$", var.cluster_id))
    error_message = "A cluster id is 1 to 8 characters of a-z and 0-9."
  }
}

variable "class_name" {
  description = "Name of the class whose objects it deletes."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.class_name))
    error_message = "A class is named by 1 to 63 characters of a-z, 0-9 and -."
  }
}

variable "name" {
  description = "Prefix of the names of the function and its role, at most 40 characters."
  type        = string
  default     = "ephemeral-endpoints-reaper"
}

variable "grace_hours" {
  description = "How long after its end an object is left to the operator, in hours."
  type        = number
  default     = 24

  validation {
    condition     = var.grace_hours >= 1
    error_message = "The grace is at least an hour."
  }
}

variable "most_objects" {
  description = "Objects that a run deletes at most."
  type        = number
  default     = 100
}

variable "most_share_percent" {
  description = "Share of all objects; if more are due at once, they wait for another grace_hours."
  type        = number
  default     = 20
}

variable "repository_days" {
  description = "How long after its last push the repository of a class without objects stays, in days."
  type        = number
  default     = 30
}

variable "topic_arn" {
  description = "SNS topic of the reaper's reports and alarms; empty: none."
  type        = string
  default     = ""
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for the role; null: none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of all taggable resources."
  type        = map(string)
  default     = {}
}
