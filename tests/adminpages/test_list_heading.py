"""The heading of a list: it counts results only where somebody searched or filtered."""

from domains.models import SendingDomain
from tests.adminpages.conftest import SignIn

LIST = "/admin/domains/sendingdomain/"


def test_a_list_counts_results_once_it_is_narrowed_down(signed_in: SignIn) -> None:
    client = signed_in("admin")
    for name in ("shop.example", "news.example"):
        SendingDomain.objects.create(name=name)

    whole, searched = (client.get(LIST + query).content.decode() for query in ("", "?q=shop"))

    assert "Show all" not in whole
    assert "1 result" in searched
    assert "Show all" in searched
