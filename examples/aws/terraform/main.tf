data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  account   = data.aws_caller_identity.here.account_id
  partition = data.aws_partition.here.partition
  project   = "${var.name_prefix}-${var.cluster_id}"

  # The placeholders of ../policies/*.json.
  values = {
    Partition      = local.partition
    Region         = data.aws_region.here.id
    AccountId      = local.account
    ClusterId      = var.cluster_id
    ClassName      = var.class_name
    ExecutionRole  = aws_iam_role.service["execution"].name
    ExecutionRoles = var.execution_roles
    ForwarderRole  = aws_iam_role.service["forwarder"].name
    InvokeRole     = aws_iam_role.service["invoke"].name
    BuildProject   = local.project
    EventQueue     = aws_sqs_queue.events.name
    AssumedRole    = var.assumed_role
    DataBucket     = var.data_bucket
    KmsKeys        = var.kms_keys
    BuildSecrets   = var.build_secrets
    Repository     = var.image_repository
    EksCluster     = var.eks_cluster
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
      "operator-hosting"    = "operator"
      "limits"              = "operator"
    },
    var.assumed_role == "" ? {} : { "operator-assume" = "operator" },
  )
  of_services = merge(
    {
      "execution" = "execution"
      "forwarder" = "forwarder"
      "invoke"    = "invoke"
      "build"     = "build"
    },
    var.data_bucket == "" ? {} : {
      "execution-data" = "execution"
      "forwarder-data" = "forwarder"
    },
    var.vpc ? { "execution-vpc" = "execution" } : {},
    var.kms_keys == "" ? {} : {
      "execution-keys" = "execution"
      "forwarder-keys" = "forwarder"
    },
    var.build_secrets == "" ? {} : { "build-secrets" = "build" },
  )
  of_workflow = var.github_repository == "" ? {} : {
    "ci-push"  = "workflow"
    "ci-apply" = "workflow"
  }

  policies = merge(local.of_operator, local.of_services, local.of_workflow)
  roles = merge(
    { for name, role in aws_iam_role.service : name => role.name },
    { operator = aws_iam_role.operator.name },
    { for role in aws_iam_role.workflow : "workflow" => role.name },
  )

  # Keeps services that support it from using a role for other accounts.
  services = {
    execution = { principal = "sagemaker.amazonaws.com", of_account = true }
    forwarder = { principal = "lambda.amazonaws.com", of_account = false }
    invoke    = { principal = "apigateway.amazonaws.com", of_account = false }
    build     = { principal = "codebuild.amazonaws.com", of_account = true }
  }

  github = "token.actions.githubusercontent.com"
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

  name                 = "${local.project}-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.service[each.key].json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
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
  description = "Notifies the operator of changed endpoints"
  event_pattern = jsonencode({
    source        = ["aws.sagemaker"]
    "detail-type" = ["SageMaker Endpoint State Change"]
  })
  tags = var.tags
}

resource "aws_cloudwatch_event_target" "events" {
  rule = aws_cloudwatch_event_rule.events.name
  arn  = aws_sqs_queue.events.arn
}

data "aws_iam_policy_document" "events" {
  statement {
    sid       = "OnlyTheRule"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.events.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.events.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.url
  policy    = data.aws_iam_policy_document.events.json
}

resource "aws_cloudwatch_log_group" "builds" {
  name              = "/aws/codebuild/${local.project}"
  retention_in_days = 14
  tags              = var.tags
}

resource "aws_codebuild_project" "builds" {
  name         = local.project
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
