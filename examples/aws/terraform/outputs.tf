output "operator_role_arn" {
  description = "Role of the operator: annotation of its ServiceAccount, or its Pod Identity association."
  value       = aws_iam_role.operator.arn
}

output "workflow_role_arn" {
  description = "role-to-assume of the workflows; null without one."
  value       = one(aws_iam_role.workflow[*].arn)
}

output "class" {
  description = "A class to start with, for kubectl apply."
  value = yamlencode({
    apiVersion = "ephemeral-endpoints.io/v1alpha1"
    kind       = "EphemeralEndpointClass"
    metadata = {
      name        = "default"
      annotations = { "ephemeral-endpoints.io/is-default-class" = "true" }
    }
    spec = {
      region           = data.aws_region.here.id
      executionRoleArn = aws_iam_role.service["execution"].arn
      forwarderRoleArn = aws_iam_role.service["forwarder"].arn
      invokeRoleArn    = aws_iam_role.service["invoke"].arn
      builds           = { codeBuild = { project = aws_codebuild_project.builds.name } }
      events           = { queueName = aws_sqs_queue.events.name }
    }
  })
}
