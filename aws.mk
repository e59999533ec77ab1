# Proofs against the strict double of AWS (devtools/strict_aws) that take minutes: `make test` has their short forms. And the proof on AWS.
#   make aws-policies                       every action of every printed policy left out once: a run fails without it
#   make aws-faults                         every kind of fault at every call of attach, detach, layer, doctor, model push and of the builders on EC2 and Lambda
#   make aws-check-double                   the check on a real account, against the double, with every step failed once
#   make aws-check ACCOUNT=... REGION=...   the check on a real account of yours: costs money, asks first (docs/how-to/check-on-aws.md)

.PHONY: aws-policies aws-faults aws-check aws-check-double

aws-policies: install
	$(BIN)/pytest -n 2 -m slow tests/builders/ec2/test_iam.py tests/builders/on_lambda/test_iam.py tests/functions/test_iam.py

aws-faults: install
	$(BIN)/pytest -n 2 -m "slow or not slow" tests/functions/test_faults.py \
		tests/builders/ec2/test_fault_matrix.py tests/builders/on_lambda/test_fault_matrix.py

aws-check-double: install
	$(BIN)/pytest -n 2 -m "slow or not slow" tests/devtools/aws_check

aws-check: install
	@test -n "$(ACCOUNT)" -a -n "$(REGION)" || { echo "make aws-check ACCOUNT=123456789012 REGION=eu-central-1"; exit 2; }
	$(BIN)/python -m devtools.aws_check --account "$(ACCOUNT)" --region "$(REGION)" $(CHECK)
