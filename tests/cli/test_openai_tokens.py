import base64
from urllib.parse import parse_qs, urlsplit

from botocore.credentials import Credentials

from ephemeral_endpoints.cli.openai_tokens import bearer_token

KEYS = Credentials("AKIAEXAMPLE", "secret", "session")


def test_the_token_is_a_signed_request_that_names_no_secret() -> None:
    token = bearer_token(KEYS, "eu-west-1", 3600)
    signed = base64.b64decode(token.removeprefix("sagemaker-api-key-")).decode()
    url = urlsplit(f"https://{signed}")
    query = {name: value for name, [value] in parse_qs(url.query).items()}
    assert (url.netloc, url.path, query["Version"]) == ("sagemaker.amazonaws.com", "/", "1")
    assert (query["Action"], query["X-Amz-Expires"]) == ("CallWithBearerToken", "3600")
    assert query["X-Amz-Credential"].startswith("AKIAEXAMPLE/")
    assert query["X-Amz-Credential"].endswith("/eu-west-1/sagemaker/aws4_request")
    assert (query["X-Amz-Security-Token"], len(query["X-Amz-Signature"])) == ("session", 64)
    assert KEYS.secret_key not in signed.replace("session", "")
