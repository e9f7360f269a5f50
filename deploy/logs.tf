resource "alicloud_log_project" "functions" {
  project_name = var.log_project
  description  = "Logs of Paimon Data Map"
}

resource "alicloud_log_store" "functions" {
  project_name          = alicloud_log_project.functions.project_name
  logstore_name         = "functions"
  retention_period      = var.log_retention_days
  shard_count           = 2
  auto_split            = true
  max_split_shard_count = 16
}
