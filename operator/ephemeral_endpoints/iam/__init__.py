"""Least privilege in AWS: the permissions of every role and their purposes, beside the calls that need them.

The Service Authorization Reference lists how each action can be restricted
(https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html):
the resource types of the action, its condition keys, and those of its resource types, such as
``aws:ResourceTag``.
"""
