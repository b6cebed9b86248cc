"""`hookline doctor` on a machine that has no trusted certificate authorities."""

from pathlib import Path

import pytest

from cli import doctor
from cli.doctor import Verdict


async def test_a_machine_that_trusts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    (found,) = [finding async for finding in doctor.examine({}) if finding.check == "trust"]
    assert found.verdict is Verdict.WARNING
    assert found.says.endswith("every delivery over HTTPS will fail")
    # c_rehash gives certificates such names.
    (tmp_path / "ce5e74ef.0").touch()
    assert not [finding async for finding in doctor.examine({}) if finding.check == "trust"]
