data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  # A class may have 63 characters, and a function 64.
  name = "${var.name}-${var.cluster_id}-${substr(sha256(var.class_name), 0, 8)}"

  # The placeholders of ../../policies/*.json.
  values = {
    Partition   = data.aws_partition.here.partition
    Region      = data.aws_region.here.id
    AccountId   = data.aws_caller_identity.here.account_id
    ClusterId   = var.cluster_id
    ClassName   = var.class_name
    ReaperLogs  = aws_cloudwatch_log_group.reaper.name
    ReaperTopic = var.topic_arn
  }

  policies = toset(concat(["reaper", "reaper-deletions"], var.topic_arn == "" ? [] : ["reaper-topic"]))
  topics   = var.topic_arn == "" ? [] : [var.topic_arn]

  of_class    = { Cluster = var.cluster_id, Class = var.class_name }
  of_function = { FunctionName = aws_lambda_function.reaper.function_name }
  ours        = "EphemeralEndpoints/Reaper"

  alarms = {
    silent = {
      text       = "No run of the reaper has ended well for two hours: nothing catches what the operator leaves"
      namespace  = local.ours
      metric     = "Runs"
      dimensions = local.of_class
      periods    = 8
      comparison = "LessThanThreshold"
      missing    = "breaching"
    }
    fails = {
      text       = "The reaper cannot read or delete some kinds of resources"
      namespace  = local.ours
      metric     = "Failures"
      dimensions = local.of_class
      periods    = 2
      comparison = "GreaterThanOrEqualToThreshold"
      missing    = "notBreaching"
    }
    errors = {
      text       = "The runs of the reaper fail"
      namespace  = "AWS/Lambda"
      metric     = "Errors"
      dimensions = local.of_function
      periods    = 2
      comparison = "GreaterThanOrEqualToThreshold"
      missing    = "notBreaching"
    }
    holds = {
      text       = "So many objects have expired at once that the reaper holds them for another grace_hours"
      namespace  = local.ours
      metric     = "Held"
      dimensions = local.of_class
      periods    = 1
      comparison = "GreaterThanOrEqualToThreshold"
      missing    = "notBreaching"
    }
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "reaper" {
  name                 = local.name
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_policy" "this" {
  for_each = local.policies

  name   = "${local.name}-${each.key}"
  policy = templatefile("${path.module}/../../policies/${each.key}.json", local.values)
  tags   = var.tags
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.policies

  role       = aws_iam_role.reaper.name
  policy_arn = aws_iam_policy.this[each.key].arn
}

resource "aws_cloudwatch_log_group" "reaper" {
  name              = "/ephemeral-endpoints/${local.name}"
  retention_in_days = 90
  tags              = var.tags
}

data "archive_file" "reaper" {
  type        = "zip"
  source_file = "${path.module}/../../reaper/index.py"
  output_path = "${path.module}/reaper.zip"
}

resource "aws_lambda_function" "reaper" {
  function_name    = local.name
  description      = "Deletes what ephemeral-endpoints left behind"
  role             = aws_iam_role.reaper.arn
  runtime          = "python3.13"
  handler          = "index.handle"
  timeout          = 300
  memory_size      = 512
  filename         = data.archive_file.reaper.output_path
  source_code_hash = data.archive_file.reaper.output_base64sha256
  tags             = var.tags

  environment {
    variables = {
      CLUSTER_ID         = var.cluster_id
      CLASS_NAME         = var.class_name
      GRACE_HOURS        = var.grace_hours
      MOST_OBJECTS       = var.most_objects
      MOST_SHARE_PERCENT = var.most_share_percent
      REPOSITORY_DAYS    = var.repository_days
      TOPIC_ARN          = var.topic_arn
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.reaper.name
  }

  depends_on = [aws_iam_role_policy_attachment.this]
}

resource "aws_cloudwatch_event_rule" "reaper" {
  name                = local.name
  description         = "Runs the reaper"
  schedule_expression = "rate(15 minutes)"
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "reaper" {
  rule = aws_cloudwatch_event_rule.reaper.name
  arn  = aws_lambda_function.reaper.arn
}

resource "aws_lambda_permission" "reaper" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.reaper.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.reaper.arn
}

resource "aws_cloudwatch_metric_alarm" "reaper" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = each.value.periods
  threshold           = 1
  comparison_operator = each.value.comparison
  treat_missing_data  = each.value.missing
  alarm_actions       = local.topics
  ok_actions          = local.topics
  tags                = var.tags
}
