import json
import urllib.error
import urllib.request

import botocore.config
import botocore.exceptions
import pytest

from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from tests.devtools.lambda_sandbox.calls import client


class TestProtocol:
    def test_field_that_the_model_has_not_is_refused(self, endpoint):
        body = json.dumps({"FunctionName": "f", "Cod": {}}).encode()
        request = urllib.request.Request(f"{endpoint.url}/2015-03-31/functions", data=body, method="POST")
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request)
        assert raised.value.headers["x-amzn-ErrorType"] == "SerializationException"
        raised.value.close()

    def test_operation_that_the_endpoint_has_not(self, aws):
        with pytest.raises(botocore.exceptions.ClientError, match="does not know GetAccountSettings"):
            aws.get_account_settings()

    def test_defect_of_an_operation_shows_when_the_endpoint_is_closed(self):
        endpoint = LambdaEndpoint({})
        endpoint.functions.list_functions = None  # anything that breaks
        with pytest.raises(botocore.exceptions.ClientError):
            client(endpoint, retries={"total_max_attempts": 1}).list_functions()
        with pytest.raises(ExceptionGroup):
            endpoint.close()
