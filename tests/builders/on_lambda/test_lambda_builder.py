def test_a_build_in_one_invocation(bench):
    bench.deploy()
    result = bench.run(bench.request(bench.wheel("once", files=30)))
    assert result.outcome == "published"
    assert result.activated
    assert bench.builds() == 1
    bench.assert_one_verified_release(result.release)
    steps = [event.step for event in bench.events if event.state == "finished"]
    assert steps[-3:] == ["copy", "publish", "activate"]
