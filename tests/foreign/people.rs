//! With the engine dead, everyone on the bridge who may roll back gets it, under an account of their own; with the guard dead too they are
//! told which account can.

use cutover::runbook::Role;
use cutover::session::Phase;

use super::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn with_the_engine_dead_qa_rolls_back_and_without_a_guard_is_told_who_can() {
    let place = Place::make(5).await;
    let bridge = place.operators().await;
    place.application.start().await;

    let night = bridge.opens("runbook.yaml").await;
    night.until(Some("P3")).await;
    let pid = night.kill_engine().await;
    let (code, said) = night.rolls_back_as(Role::Qa).await;
    // Nothing had touched the target yet: a no-go.
    assert_eq!(code, Some(3), "{said}");
    let session = night.session();
    assert_eq!(session.phase, Phase::RolledBack, "{}", night.told(&session));
    assert_ne!(night.last_engine(), Some(pid), "another engine did it");
    drop(night);

    let (code, said) = bridge
        .types(&["correct", "--what", "the engine's host"])
        .await;
    assert!(code.is_some(), "{said}");
    let night = bridge.opens("runbook.yaml").await;
    night.until(Some("P3")).await;
    night.kill_guard().await;
    night.kill_engine().await;
    if bridge.is_a_team() {
        let (code, said) = night.rolls_back_as(Role::Qa).await;
        assert_eq!(code, Some(1), "{said}");
        let owner = cutover::engine::socket::user_of_this_process();
        let told = format!("only the account {owner}, who opened it, can");
        assert!(said.contains(&told), "{said}");
    }
    let (code, said) = night.rolls_back_as(Role::ReleaseManager).await;
    assert_eq!(code, Some(3), "{said}");
}
