"""Least privilege in AWS: what every role may do, and why; generated from what the code declares that it calls.

What an action can be narrowed by is in the Service Authorization Reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html):
the resource types of each action, the condition keys of the action, and those of its resource types, which
``aws:ResourceTag`` belongs to.
"""
