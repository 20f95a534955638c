output "role_names" {
  description = "Names of the roles, by what they are for: execution, forwarder, invoke, delivery, training, reaper, build."
  value       = { for name, role in aws_iam_role.service : name => role.name }
}

output "build_project" {
  description = "Name of the project that builds images."
  value       = local.name
}

output "class" {
  description = "The class, for kubectl apply."
  value = yamlencode({
    apiVersion = "ephemeral-endpoints.io/v1alpha1"
    kind       = "EphemeralEndpointClass"
    metadata = merge(
      { name = var.class_name },
      var.is_default ? { annotations = { "ephemeral-endpoints.io/is-default-class" = "true" } } : {},
    )
    spec = merge(
      {
        region           = data.aws_region.here.id
        executionRoleArn = aws_iam_role.service["execution"].arn
        forwarderRoleArn = aws_iam_role.service["forwarder"].arn
        invokeRoleArn    = aws_iam_role.service["invoke"].arn
        builds           = { codeBuild = { project = aws_codebuild_project.builds.name } }
        events           = { queueName = var.event_queue }
      },
      var.capture_bucket == "" ? {} : {
        capture = {
          s3Uri           = "s3://${var.capture_bucket}/${var.capture_prefix}"
          deliveryRoleArn = aws_iam_role.service["delivery"].arn
        }
      },
      var.delivery_stream == "" ? {} : { capture = { deliveryStream = var.delivery_stream } },
      var.kinesis_stream == "" ? {} : { capture = { kinesisStream = var.kinesis_stream } },
      var.reaper ? {
        reaper = merge(
          { roleArn = aws_iam_role.service["reaper"].arn },
          var.reaper_topic == "" ? {} : { topicArn = var.reaper_topic },
        )
      } : {},
      var.class_repository == "" ? {} : { images = { repository = { name = var.class_repository } } },
    )
  })
}
