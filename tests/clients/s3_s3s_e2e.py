"""Runs s3s-e2e, a suite that tests S3 servers through the SDK of AWS for Rust; the endpoint is $FDFS_S3 (a URL)."""

import os
import re
import subprocess

CASES = 18  # of version 0.14.1
ENVIRONMENT = {**os.environ, "AWS_ENDPOINT_URL": os.environ["FDFS_S3"], "AWS_REGION": "us-east-1"}

program = os.path.join(os.environ["FDFS_TOOLS"], "bin/s3s-e2e")
done = subprocess.run([program], capture_output=True, env=ENVIRONMENT, text=True, timeout=240)
text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
codes = re.findall(r"<Code>(\w+)</Code>", text)
cases = re.findall(r"^(PASSED|FAILED) +[\d.]+ms \[\w+/\w+/(\w+)\]$", text, re.MULTILINE)
for outcome, case in cases:
    print(f"ok {case}" if outcome == "PASSED" else f"failed {case}: the server answered {codes}")
whole = len(cases) == CASES and (done.returncode == 0) == all(outcome == "PASSED" for outcome, _ in cases)
print("ok all cases ran" if whole else f"failed all cases ran: {len(cases)} did: {text[-2000:]!r} {done.stderr[-2000:]!r}")
