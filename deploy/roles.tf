# Two roles for seven functions. A sender writes to our queues. A reader may also assume the roles that data sources name,
# and decrypt the one KMS key; it has no right on any bucket of its own.
locals {
  trust_function_compute = jsonencode({
    Version   = "1"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = ["fc.aliyuncs.com"] } }]
  })
  roles = ["datamap-sender", "datamap-reader"]
}

resource "alicloud_ram_role" "function" {
  for_each                    = toset(local.roles)
  role_name                   = each.key
  description                 = "Functions of Paimon Data Map"
  assume_role_policy_document = local.trust_function_compute
}

resource "alicloud_ram_policy" "send" {
  policy_name = "datamap-send"
  description = "Send to the queues of Paimon Data Map and read their depth"
  policy_document = jsonencode({
    Version = "1"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["mns:SendMessage", "mns:BatchSendMessage"]
        Resource = [for name in keys(local.queues) : "acs:mns:${var.region}:${var.account_id}:/queues/${name}*/messages"]
      },
      {
        Effect   = "Allow"
        Action   = ["mns:GetQueueAttributes"]
        Resource = [for name in keys(local.queues) : "acs:mns:${var.region}:${var.account_id}:/queues/${name}*"]
      },
      {
        # How long the oldest message waits, for /metrics.
        Effect   = "Allow"
        Action   = ["mns:PeekMessage", "mns:BatchPeekMessage"]
        Resource = [for name in keys(local.queues) : "acs:mns:${var.region}:${var.account_id}:/queues/${name}/messages"]
      },
      {
        # Operators list, redrive and discard dead letters through console-api.
        Effect   = "Allow"
        Action   = ["mns:PeekMessage", "mns:BatchPeekMessage", "mns:ReceiveMessage", "mns:BatchReceiveMessage", "mns:DeleteMessage", "mns:ChangeMessageVisibility"]
        Resource = [for name in keys(local.queues) : "acs:mns:${var.region}:${var.account_id}:/queues/${name}-dead/messages"]
      },
      {
        # Functions inside a VPC attach a network interface.
        Effect   = "Allow"
        Action   = ["vpc:DescribeVSwitchAttributes", "ecs:CreateNetworkInterface", "ecs:DeleteNetworkInterface", "ecs:DescribeNetworkInterfaces", "ecs:CreateNetworkInterfacePermission", "ecs:DescribeNetworkInterfacePermissions"]
        Resource = ["*"]
      },
      {
        Effect   = "Allow"
        Action   = ["log:PostLogStoreLogs"]
        Resource = ["acs:log:${var.region}:${var.account_id}:project/${var.log_project}/logstore/*"]
      },
    ]
  })
}

resource "alicloud_ram_policy" "assume" {
  count       = length(var.assumable_roles) > 0 ? 1 : 0
  policy_name = "datamap-assume"
  description = "Assume the roles that data sources name"
  policy_document = jsonencode({
    Version   = "1"
    Statement = [{ Effect = "Allow", Action = ["sts:AssumeRole"], Resource = var.assumable_roles }]
  })
}

resource "alicloud_ram_policy" "decrypt" {
  count       = var.kms_key_arn != "" ? 1 : 0
  policy_name = "datamap-decrypt"
  description = "Decrypt the key that seals stored secrets"
  policy_document = jsonencode({
    Version   = "1"
    Statement = [{ Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.kms_key_arn] }]
  })
}

resource "alicloud_ram_role_policy_attachment" "send" {
  for_each    = alicloud_ram_role.function
  role_name   = each.value.role_name
  policy_name = alicloud_ram_policy.send.policy_name
  policy_type = "Custom"
}

resource "alicloud_ram_role_policy_attachment" "assume" {
  count       = length(var.assumable_roles) > 0 ? 1 : 0
  role_name   = alicloud_ram_role.function["datamap-reader"].role_name
  policy_name = alicloud_ram_policy.assume[0].policy_name
  policy_type = "Custom"
}

resource "alicloud_ram_role_policy_attachment" "decrypt" {
  count       = var.kms_key_arn != "" ? 1 : 0
  role_name   = alicloud_ram_role.function["datamap-reader"].role_name
  policy_name = alicloud_ram_policy.decrypt[0].policy_name
  policy_type = "Custom"
}
