"""Generators of IAM policies, CloudFormation stacks, and tables in pages."""
