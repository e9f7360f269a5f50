output "environment" {
  description = "Set these before `s deploy`; secrets (DATABASE_URL, DATAMAP_ENCRYPTION_KEY) come from you."
  value = {
    DATAMAP_REGION       = var.region
    DATAMAP_ACCOUNT_ID   = var.account_id
    DATAMAP_MNS_ENDPOINT = "https://${var.account_id}.mns.${var.region}-internal.aliyuncs.com"
    DATAMAP_LOG_PROJECT  = alicloud_log_project.functions.project_name
    DATAMAP_LOG_STORE    = alicloud_log_store.functions.logstore_name
  }
}
