data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  account   = data.aws_caller_identity.here.account_id
  partition = data.aws_partition.here.partition
  project   = "${var.name_prefix}-${var.cluster_id}"

  # The placeholders of ../policies/*.json.
  values = {
    Partition          = local.partition
    Region             = data.aws_region.here.id
    AccountId          = local.account
    ClusterId          = var.cluster_id
    ExecutionRoles     = var.execution_roles
    EventQueue         = aws_sqs_queue.events.name
    NotificationTopics = var.notification_topics
    AssumedRole        = var.assumed_role
    KmsKeys            = var.kms_keys
    ReportsBucket      = var.reports_bucket
    ReportsPrefix      = var.reports_prefix
    RecordingsBucket   = var.recordings_bucket
    RecordingsPrefix   = var.recordings_prefix
    ArtifactsBucket    = coalesce(var.artifacts_bucket, "none")
    ArtifactsPrefix    = var.artifacts_prefix
    PackageGroups      = var.package_groups
    Repository         = var.image_repository
    EksCluster         = var.eks_cluster
    # One pattern in the file, between quotes.
    InstanceTypes  = join("\", \"", var.instance_types)
    MaxConcurrency = var.max_concurrency
  }

  # Which role has which of ../policies/*.json.
  of_operator = merge(
    {
      "operator-endpoints"  = "operator"
      "operator-routes"     = "operator"
      "operator-monitoring" = "operator"
      "operator-images"     = "operator"
      "operator-data"       = "operator"
      "operator-hosting"    = "operator"
    },
    var.reports_bucket == "" ? {} : { "operator-comparisons" = "operator" },
    var.capture_bucket == "" ? {} : { "operator-capture" = "operator" },
  )
  # A role has 10 managed policies at most. These are short.
  inline = toset(concat(
    ["limits"],
    var.notification_topics == "" ? [] : ["operator-notifications"],
    var.assumed_role == "" ? [] : ["operator-assume"],
  ))
  of_workflow = var.github_repository == "" ? {} : {
    "ci-push"  = "workflow"
    "ci-apply" = "workflow"
  }

  policies = merge(local.of_operator, local.of_workflow)
  roles = merge(
    { operator = aws_iam_role.operator.name },
    { for role in aws_iam_role.workflow : "workflow" => role.name },
  )

  github = "token.actions.githubusercontent.com"
}

module "class" {
  source = "./class"

  cluster_id           = var.cluster_id
  class_name           = var.class_name
  is_default           = true
  operator_role        = aws_iam_role.operator.name
  event_queue          = aws_sqs_queue.events.name
  name                 = local.project
  data_bucket          = var.data_bucket
  kms_keys             = var.kms_keys
  capture_bucket       = var.capture_bucket
  capture_prefix       = var.capture_prefix
  delivery_stream      = var.delivery_stream
  kinesis_stream       = var.kinesis_stream
  results_topic        = var.results_topic
  artifacts_bucket     = var.artifacts_bucket
  artifacts_prefix     = var.artifacts_prefix
  package_groups       = var.package_groups
  training_data_bucket = var.training_data_bucket
  reaper               = var.reaper
  reaper_topic         = var.reaper_topic
  vpc                  = var.vpc
  build_secrets        = var.build_secrets
  postprocessors       = var.postprocessors
  class_repository     = var.class_repository
  image_repository     = var.image_repository
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_policy" "this" {
  for_each = local.policies

  name   = "${local.project}-${each.key}"
  policy = templatefile("${path.module}/../policies/${each.key}.json", local.values)
  tags   = var.tags
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.policies

  role       = local.roles[each.value]
  policy_arn = aws_iam_policy.this[each.key].arn
}

resource "aws_iam_role_policy" "operator" {
  for_each = local.inline

  name   = each.key
  role   = aws_iam_role.operator.name
  policy = templatefile("${path.module}/../policies/${each.key}.json", local.values)
}

data "aws_iam_policy_document" "irsa" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["arn:${local.partition}:iam::${local.account}:oidc-provider/${var.oidc_issuer}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:sub"
      values   = ["system:serviceaccount:${var.namespace}:${var.service_account}"]
    }
  }
}

data "aws_iam_policy_document" "pod_identity" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-namespace"
      values   = [var.namespace]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-service-account"
      values   = [var.service_account]
    }
  }
}

resource "aws_iam_role" "operator" {
  name                 = "${local.project}-operator"
  assume_role_policy   = var.trust == "IRSA" ? data.aws_iam_policy_document.irsa.json : data.aws_iam_policy_document.pod_identity.json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

data "aws_iam_policy_document" "workflow" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["arn:${local.partition}:iam::${local.account}:oidc-provider/${local.github}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.github}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringLike"
      variable = "${local.github}:sub"
      values   = ["repo:${var.github_repository}:${var.github_subject}"]
    }
  }
}

resource "aws_iam_role" "workflow" {
  count = var.github_repository == "" ? 0 : 1

  name                 = "${local.project}-workflow"
  assume_role_policy   = data.aws_iam_policy_document.workflow.json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_sqs_queue" "events" {
  name                      = "${local.project}-events"
  message_retention_seconds = 86400
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_cloudwatch_event_rule" "events" {
  name        = "${local.project}-events"
  description = "Notifies the operator of changed endpoints and model packages"
  event_pattern = jsonencode({
    source = ["aws.sagemaker"]
    "detail-type" = [
      "SageMaker Endpoint State Change",
      "SageMaker Model Building Pipeline Execution Status Change",
      "SageMaker Model Building Pipeline Execution Step Status Change",
      "SageMaker Model Package State Change",
    ]
  })
  tags = var.tags
}

resource "aws_cloudwatch_event_target" "events" {
  rule = aws_cloudwatch_event_rule.events.name
  arn  = aws_sqs_queue.events.arn
}

resource "aws_cloudwatch_event_rule" "builds" {
  name        = "${local.project}-builds"
  description = "Notifies the operator of ended builds"
  event_pattern = jsonencode({
    source        = ["aws.codebuild"]
    "detail-type" = ["CodeBuild Build State Change"]
    detail = {
      "project-name" = [
        for prefix in distinct([local.project, "ephemeral-endpoints-${var.cluster_id}"]) : { prefix = prefix }
      ]
      "build-status" = [{ "anything-but" = "IN_PROGRESS" }]
    }
  })
  tags = var.tags
}

resource "aws_cloudwatch_event_target" "builds" {
  rule = aws_cloudwatch_event_rule.builds.name
  arn  = aws_sqs_queue.events.arn
}

data "aws_iam_policy_document" "events" {
  statement {
    sid       = "OnlyTheRules"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.events.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.events.arn, aws_cloudwatch_event_rule.builds.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.url
  policy    = data.aws_iam_policy_document.events.json
}
