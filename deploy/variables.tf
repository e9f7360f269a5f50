variable "region" {
  type        = string
  description = "Region of the functions, the queues and the warehouses' buckets."
}

variable "account_id" {
  type        = string
  description = "Account that the functions run in."
  validation {
    condition     = can(regex("^[0-9]{10,20}$", var.account_id))
    error_message = "An account id is a number of 10 to 20 digits."
  }
}

variable "assumable_roles" {
  type        = list(string)
  description = "Role ARNs (or patterns such as acs:ram::*:role/datamap-reader-*) that data sources may name. Nothing else can be assumed."
  default     = []
}

variable "kms_key_arn" {
  type        = string
  description = "KMS key (acs:kms:REGION:ACCOUNT:key/ID) that decrypts DATAMAP_ENCRYPTION_KEY. Empty: the key stands in the configuration itself."
  default     = ""
}

variable "watched_warehouses" {
  type = list(object({
    bucket = string
    # Without leading slash, ending in a slash; empty for the whole bucket.
    prefix = string
  }))
  description = "Warehouses whose object events are delivered to the queue datamap-object-events."
  default     = []
}

variable "log_project" {
  type        = string
  description = "Log service project for the functions' logs; the name is global, so choose your own."
}

variable "log_retention_days" {
  type    = number
  default = 30
}
