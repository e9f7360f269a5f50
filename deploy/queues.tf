locals {
  # Seconds that a message stays hidden while a function works on it: six times the function's timeout in s.yaml, so
  # that a slow success is not delivered a second time.
  queues = {
    "datamap-data-source-saved" = { visibility_timeout = 360 }
    "datamap-connectivity-test" = { visibility_timeout = 360 }
    "datamap-collection"        = { visibility_timeout = 1740 }
    "datamap-table-events"      = { visibility_timeout = 1740 }
    "datamap-table-bulk"        = { visibility_timeout = 1740 }
    "datamap-object-events"     = { visibility_timeout = 360 }
  }
}

resource "alicloud_message_service_queue" "dead" {
  for_each                 = local.queues
  queue_name               = "${each.key}-dead"
  message_retention_period = 604800
  visibility_timeout       = 30
}

resource "alicloud_message_service_queue" "main" {
  for_each                 = local.queues
  queue_name               = each.key
  message_retention_period = 604800
  visibility_timeout       = each.value.visibility_timeout
  # Long polls: fewer empty receives.
  polling_wait_seconds = 20

  dlq_policy {
    enabled                  = true
    dead_letter_target_queue = alicloud_message_service_queue.dead[each.key].queue_name
    max_receive_count        = 10
  }
}
