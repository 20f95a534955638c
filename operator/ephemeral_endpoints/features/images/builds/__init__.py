"""Builds of images, by CodeBuild or by Jobs of the cluster."""
