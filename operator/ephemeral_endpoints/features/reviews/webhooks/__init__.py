"""The forge's webhooks, which wake the operator."""
