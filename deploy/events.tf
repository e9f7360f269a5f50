# One rule per watched warehouse: object events → queue datamap-object-events → watch-objects.
resource "alicloud_message_service_event_rule" "warehouse" {
  for_each  = { for w in var.watched_warehouses : "${w.bucket}/${w.prefix}" => w }
  rule_name = "datamap-${substr(sha256(each.key), 0, 16)}"

  # Creation kinds are named one by one: `ObjectCreated:*` brings each part of a multipart upload as well.
  event_types = [
    "ObjectCreated:PutObject",
    "ObjectCreated:PostObject",
    "ObjectCreated:CopyObject",
    "ObjectCreated:AppendObject",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectRemoved:DeleteObject",
    "ObjectRemoved:DeleteObjects",
  ]

  match_rules = [[{
    # The documentation shows two spellings for the bucket; this is the one of the provider's own example.
    name        = "acs:oss:${var.region}:${var.account_id}:${each.value.bucket}"
    prefix      = each.value.prefix
    suffix      = ""
    match_state = "true"
  }]]

  endpoint {
    endpoint_type  = "queue"
    endpoint_value = alicloud_message_service_queue.main["datamap-object-events"].queue_name
  }
}
