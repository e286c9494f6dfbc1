"""Groups of several sizes form, train and end."""

import pytest
from tests.e2e.harness import Job
from tests.support.waiting import wait_until


@pytest.mark.main_job
@pytest.mark.parametrize(
    ("minimum", "maximum", "nodes", "workers", "collectives"),
    [
        pytest.param(2, 2, 2, 1, False, id="two nodes"),
        pytest.param(1, 3, 3, 2, False, id="as many as it may have, two workers on each node"),
        pytest.param(2, 4, 3, 1, True, id="fewer nodes than it may have"),
        pytest.param(3, 3, 3, 2, False, id="of one size, with two workers on each node"),
        pytest.param(4, 4, 4, 1, False, id="four nodes"),
    ],
)
def test_a_group_forms_trains_and_ends(
    job: Job, minimum: int, maximum: int, nodes: int, workers: int, collectives: bool
) -> None:
    job.create(minimum, maximum, lastCallSeconds=600)
    names = {f"n{number}" for number in range(nodes)}
    agents = [
        job.agent(name, workers=workers, collectives=collectives, together=not collectives) for name in sorted(names)
    ]
    if nodes < maximum:
        wait_until(lambda: (formation := job.status.formation) and formation.joined == nodes, "all to join")
        job.patch({"spec": {"timeouts": {"lastCallSeconds": 3}}})
    job.wait_for_training(names)
    status = job.wait_for_round(names)
    assert status.round == 1
    assert sorted(job.ranks().values()) == list(range(nodes))
    started = job.journal.records("start")
    assert len(started) == nodes * workers
    assert {record.rank for record in started} == set(range(nodes * workers))
    assert (
        {record.master for record in started} == {f"{status.store.host}:{status.store.port}"} if status.store else False
    )

    job.stop_training()
    assert [agent.wait() for agent in agents] == [0] * nodes
    job.journal.assert_no_split()
