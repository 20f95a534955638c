output "operator_role_arn" {
  description = "Role of the operator: annotation of its ServiceAccount, or its Pod Identity association."
  value       = aws_iam_role.operator.arn
}

output "workflow_role_arn" {
  description = "role-to-assume of the workflows; null without one."
  value       = one(aws_iam_role.workflow[*].arn)
}

output "operator_role" {
  description = "operator_role of the module of a further class."
  value       = aws_iam_role.operator.name
}

output "event_queue" {
  description = "event_queue of the module of a further class."
  value       = aws_sqs_queue.events.name
}

output "class" {
  description = "A class to start with, for kubectl apply."
  value       = module.class.class
}
