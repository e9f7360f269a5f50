terraform {
  required_version = ">= 1.5"
  required_providers {
    alicloud = {
      source = "aliyun/alicloud"
      # dlq_policy of message_service_queue and role_name of ram_role.
      version = ">= 1.283.0, < 2.0.0"
    }
  }
}

provider "alicloud" {
  region = var.region
}
