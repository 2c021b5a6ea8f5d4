"""Signatures are made with a key of the tests."""

KEY = """-----BEGIN RSA PRIVATE KEY-----
{{base64-64}}
-----END RSA PRIVATE KEY-----"""

EXAMPLE = "AKIAIOSFODNN7EXAMPLE"


def test_the_digest_is_that_of_the_body() -> None:
    digest = "{{hex-64}}"
    assert len(digest) == 64
    assert KEY.startswith("-----BEGIN")
