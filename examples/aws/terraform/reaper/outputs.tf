output "function_name" {
  description = "Name of the function, to run it by hand."
  value       = aws_lambda_function.reaper.function_name
}
