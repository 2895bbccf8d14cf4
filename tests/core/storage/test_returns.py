"""A reloaded page finds its visitor by a secret, and by nothing else."""

from __future__ import annotations

from deploy_core.storage.returns import Left, Returns
from deploy_core.storage.visitors import new_name


def test_a_secret_finds_its_visitor_until_they_are_forgotten() -> None:
    returns = Returns()
    visitors, secrets = [new_name(), new_name()], [returns.new_secret(), returns.new_secret()]
    for visitor, secret in zip(visitors, secrets, strict=True):
        returns.note(secret, Left(visitor, None, {}))
    returns.note(secrets[0], Left(visitors[0], "a model", {"a model": ["pets.pth"]}))
    found = returns.find(secrets[0])
    assert found
    assert (found.visitor, found.picked) == (visitors[0], "a model")
    returns.forget(visitors[0])
    assert returns.find(secrets[0]) is None
    assert returns.find(secrets[1])


def test_a_visitors_name_is_no_secret_and_no_secret_is_kept() -> None:
    returns, visitor = Returns(), new_name()
    secret = returns.new_secret()
    returns.note(secret, Left(visitor, None, {}))
    assert len({returns.new_secret() for _ in range(100)}) == 100
    assert len(secret) >= 43
    for guess in ("", visitor, secret[:-1], secret.upper()):
        assert returns.find(guess) is None
    assert secret not in repr(vars(returns))
