data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  account = data.aws_caller_identity.here.account_id
  name    = coalesce(var.name, "ephemeral-endpoints-${var.cluster_id}-${var.class_name}")

  # The placeholders of ../../policies/*.json.
  values = {
    Partition          = data.aws_partition.here.partition
    Region             = data.aws_region.here.id
    AccountId          = local.account
    ClusterId          = var.cluster_id
    ClassName          = var.class_name
    ExecutionRole      = aws_iam_role.service["execution"].name
    ForwarderRole      = aws_iam_role.service["forwarder"].name
    InvokeRole         = aws_iam_role.service["invoke"].name
    ClassQueue         = var.event_queue
    BuildProject       = local.name
    DataBucket         = var.data_bucket
    KmsKeys            = var.kms_keys
    DeliveryRole       = aws_iam_role.service["delivery"].name
    CaptureBucket      = var.capture_bucket
    CapturePrefix      = var.capture_prefix
    DeliveryStream     = var.delivery_stream
    KinesisStream      = var.kinesis_stream
    ResultsTopic       = var.results_topic
    TrainingRole       = aws_iam_role.service["training"].name
    ArtifactsBucket    = var.artifacts_bucket
    ArtifactsPrefix    = var.artifacts_prefix
    PackageGroups      = var.package_groups
    TrainingDataBucket = var.training_data_bucket
    ReaperRole         = aws_iam_role.service["reaper"].name
    ReaperLogs         = "/aws/lambda/eep-${var.cluster_id}-*"
    ReaperTopic        = var.reaper_topic
    BuildSecrets       = var.build_secrets
    Postprocessors     = var.postprocessors
    Repository         = var.image_repository
    ClassRepository    = var.class_repository
  }

  # Which role has which of ../../policies/*.json.
  policies = merge(
    {
      "execution"         = "execution"
      "forwarder"         = "forwarder"
      "forwarder-notices" = "forwarder"
      "invoke"            = "invoke"
      "build"             = "build"
    },
    var.data_bucket == "" ? {} : {
      "execution-data" = "execution"
      "forwarder-data" = "forwarder"
    },
    var.class_repository == "" ? {} : {
      "execution-repository" = "execution"
      "build-repository"     = "build"
    },
    var.capture_bucket == "" ? {} : {
      "forwarder-capture" = "forwarder"
      "delivery"          = "delivery"
    },
    var.delivery_stream == "" ? {} : { "forwarder-stream" = "forwarder" },
    var.kinesis_stream == "" ? {} : { "forwarder-kinesis" = "forwarder" },
    var.results_topic == "" ? {} : { "forwarder-topic" = "forwarder" },
    var.artifacts_bucket == "" ? {} : { "training" = "training" },
    var.reaper ? { "reaper" = "reaper", "reaper-deletions" = "reaper" } : {},
    var.reaper_topic == "" ? {} : { "reaper-topic" = "reaper" },
    var.vpc ? { "execution-vpc" = "execution" } : {},
    var.kms_keys == "" ? {} : {
      "execution-keys" = "execution"
      "forwarder-keys" = "forwarder"
    },
    var.build_secrets == "" ? {} : { "build-secrets" = "build" },
    var.postprocessors == "" ? {} : { "forwarder-postprocessors" = "forwarder" },
  )
  roles = { for name, role in aws_iam_role.service : name => role.name }

  # Keeps services that support it from using a role for other accounts.
  services = {
    execution = { principal = "sagemaker.amazonaws.com", of_account = true }
    forwarder = { principal = "lambda.amazonaws.com", of_account = false }
    invoke    = { principal = "apigateway.amazonaws.com", of_account = false }
    delivery  = { principal = "firehose.amazonaws.com", of_account = true }
    training  = { principal = "sagemaker.amazonaws.com", of_account = true }
    reaper    = { principal = "lambda.amazonaws.com", of_account = false }
    build     = { principal = "codebuild.amazonaws.com", of_account = true }
  }
}

resource "aws_iam_policy" "this" {
  for_each = local.policies

  name   = "${local.name}-${each.key}"
  policy = templatefile("${path.module}/../../policies/${each.key}.json", local.values)
  tags   = var.tags
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.policies

  role       = local.roles[each.value]
  policy_arn = aws_iam_policy.this[each.key].arn
}

# What the operator does with all this. Inline: a role has 10 managed policies at most.
resource "aws_iam_role_policy" "operator" {
  for_each = var.operator_role == "" ? toset([]) : toset(["operator-class"])

  name   = "${each.key}-${var.class_name}"
  role   = var.operator_role
  policy = templatefile("${path.module}/../../policies/${each.key}.json", local.values)
}

data "aws_iam_policy_document" "service" {
  for_each = local.services

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = [each.value.principal]
    }

    dynamic "condition" {
      for_each = each.value.of_account ? [local.account] : []

      content {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "service" {
  for_each = local.services

  name                 = "${local.name}-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.service[each.key].json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_cloudwatch_log_group" "builds" {
  name              = "/aws/codebuild/${local.name}"
  retention_in_days = 14
  tags              = var.tags
}

resource "aws_codebuild_project" "builds" {
  name         = local.name
  description  = "Builds images of pull requests; the operator sets the buildspec of every build"
  service_role = aws_iam_role.service["build"].arn
  tags         = var.tags

  source {
    type      = "NO_SOURCE"
    buildspec = "{version: 0.2, phases: {build: {commands: [exit 1]}}}"
  }

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type            = "LINUX_CONTAINER"
    image           = "aws/codebuild/standard:7.0"
    compute_type    = "BUILD_GENERAL1_SMALL"
    privileged_mode = true
  }

  depends_on = [aws_cloudwatch_log_group.builds]
}
