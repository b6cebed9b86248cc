"""schemathesis makes up queries and mutations from the schema itself; none of them may cause a server error."""

import asyncio
import sys

from tests.api.conftest import Api

SECONDS = 300


async def test_schemathesis_finds_no_server_error(api: Api) -> None:
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", api.graphql,
        "--header", f"Authorization: Bearer {api.token}",
        "--checks", "not_a_server_error",
        "--phases", "fuzzing",
        "--max-examples", "8",
        "--seed", "1",
        "--generation-database", "none",
        "--suppress-health-check", "all",
        # These two would connect to the servers that schemathesis makes up.
        "--exclude-name", "Mutation.accountAdd",
        "--exclude-name", "Mutation.accountUpdate",
        "--no-color",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    report = output.decode()
    assert process.returncode == 0, report
    async with api.http.get(f"{api.url}/metrics") as answer:
        page = await answer.text()
    assert "Fuzzing" in report
    assert 'status="500"' not in page
    assert 'result="internal"' not in page
    assert 'result="ok"' in page
