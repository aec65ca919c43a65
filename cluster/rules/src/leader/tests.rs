//! Elections, as sentences.

use super::*;

fn address(text: &str) -> TrackerAddress {
    let parsed = fdfs_proto::ServerAddress::parse(text, 22122).expect("a literal address");
    TrackerAddress::try_from(&parsed).expect("a literal address")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("a literal address")
}

/// The tracker at this address that has just heard of itself and another one.
fn one_of_two(own: &str) -> Leadership {
    let mut leadership = Leadership::new(22122, Timestamp(1_000), Duration::ZERO);
    let list = [address("127.0.0.2:22122"), address("127.0.0.3")];
    leadership.on_list(&list, &[ip(own)], Timestamp(1_000)).expect("a good list");
    leadership
}

fn fresh() -> TrackerRank {
    TrackerRank { leads: false, running: Duration::ZERO, restart_interval: Duration::ZERO }
}

#[test]
fn a_single_tracker_leads_one_second_after_the_first_join() {
    let mut leadership = Leadership::new(22122, Timestamp(1_000), Duration::ZERO);
    assert_eq!(leadership.on_tick(Timestamp(1_000)), []);
    let list = [address("127.0.0.2:22122")];
    leadership.on_list(&list, &[ip("127.0.0.2")], Timestamp(1_010)).expect("a good list");
    assert_eq!(leadership.on_tick(Timestamp(1_010)), []);
    assert_eq!(leadership.on_tick(Timestamp(1_011)), [LeaderAction::Leading(true)]);
    assert_eq!(leadership.on_tick(Timestamp(1_012)), []);
    assert!(leadership.is_leading());
    assert_eq!(leadership.changes(), 1);
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_elections() {
    let mut leadership = Leadership::new(22122, Timestamp(100_000), Duration::ZERO);
    let list = [address("127.0.0.2:22122")];
    leadership.on_list(&list, &[ip("127.0.0.2")], Timestamp(100_000)).expect("a good list");
    assert_eq!(leadership.on_tick(Timestamp(5_000)), [LeaderAction::Leading(true)]);
}

#[test]
fn a_list_without_this_tracker_is_refused() {
    let mut leadership = Leadership::new(22122, Timestamp(1_000), Duration::ZERO);
    for list in ["127.0.0.9:22122", "127.0.0.2:9"] {
        let refused = leadership.on_list(&[address(list)], &[ip("127.0.0.2")], Timestamp(1_000));
        assert_eq!(refused, Err(Refusal::NotFound));
    }
    assert_eq!(leadership.me(), None);
}

#[test]
fn a_seventeenth_tracker_is_refused() {
    let list: Vec<_> = (1..=17).map(|n| address(&format!("127.0.0.{n}:22122"))).collect();
    let leadership = Leadership::new(22122, Timestamp(0), Duration::ZERO);
    assert_eq!(leadership.check_list(&list, &[ip("127.0.0.1")]), Err(Refusal::NoSpace));
    assert_eq!(leadership.check_list(&list[..16], &[ip("127.0.0.1")]), Ok(()));
}

#[test]
fn of_fresh_trackers_the_greater_text_leads() {
    let mut leadership = one_of_two("127.0.0.3");
    let asked = leadership.on_tick(Timestamp(1_001));
    assert_eq!(asked, [LeaderAction::AskRanks(vec![address("127.0.0.2:22122")])]);
    assert_eq!(leadership.on_tick(Timestamp(1_002)), [], "one question at a time");
    let ranks = [(address("127.0.0.2:22122"), fresh())];
    let proposed = leadership.on_ranks(&ranks, 0, Timestamp(1_002));
    let (candidate, to) = (address("127.0.0.3:22122"), vec![address("127.0.0.2:22122")]);
    assert_eq!(proposed, [LeaderAction::Propose { candidate, to }]);
    let leads = leadership.on_proposed(true, 0, Timestamp(1_002));
    assert_eq!(leads, [LeaderAction::Leading(true)]);
}

#[test]
fn the_other_waits_for_the_commit_and_follows() {
    let mut leadership = one_of_two("127.0.0.2");
    leadership.on_tick(Timestamp(1_001));
    let winner = address("127.0.0.3:22122");
    assert_eq!(leadership.on_ranks(&[(winner, fresh())], 3, Timestamp(1_001)), []);
    assert_eq!(leadership.on_commit(&winner, Timestamp(1_002)), Err(Refusal::Invalid));
    assert_eq!(leadership.on_notify(&winner, Timestamp(1_002)).0, Ok(()));
    let follows = leadership.on_commit(&winner, Timestamp(1_002));
    assert_eq!(follows, Ok(vec![LeaderAction::Follows(winner)]));
    assert_eq!(leadership.on_tick(Timestamp(1_003)), [LeaderAction::Ping(winner)]);
    assert_eq!(leadership.changes(), 0);
}

#[test]
fn a_tracker_that_leads_already_is_followed_without_a_proposal() {
    let mut leadership = one_of_two("127.0.0.3");
    leadership.on_tick(Timestamp(1_001));
    let old = address("127.0.0.2:22122");
    let ranks = [(old, TrackerRank { leads: true, ..fresh() })];
    assert_eq!(leadership.on_ranks(&ranks, 0, Timestamp(1_001)), [LeaderAction::Follows(old)]);
    assert_eq!(leadership.leader(), Some(&old));
}

#[test]
fn longer_running_wins_over_shorter_away_wins_over_the_address() {
    let (a, b) = (address("127.0.0.2"), address("127.0.0.3"));
    let five = Duration::from_secs(300);
    let runs = TrackerRank { running: five, restart_interval: five, ..fresh() };
    assert!(rank::compare(&(a, runs), &(b, fresh())).is_gt());
    let away = TrackerRank { restart_interval: five, ..fresh() };
    assert!(rank::compare(&(a, fresh()), &(b, away)).is_gt());
    assert!(rank::compare(&(address("10.0.0.9"), fresh()), &(address("10.0.0.10"), fresh())).is_gt());
}

/// The tracker at 127.0.0.2, which follows the one at 127.0.0.3.
fn follower() -> (Leadership, TrackerAddress) {
    let mut leadership = one_of_two("127.0.0.2");
    let leader = address("127.0.0.3");
    assert_eq!(leadership.on_notify(&leader, Timestamp(1_000)).0, Ok(()));
    leadership.on_commit(&leader, Timestamp(1_000)).expect("it was named");
    (leadership, leader)
}

#[test]
fn three_failed_pings_in_a_row_end_the_following() {
    let (mut leadership, leader) = follower();
    for at in [1_001, 1_002, 1_003] {
        assert_eq!(leadership.leader(), Some(&leader));
        assert_eq!(leadership.on_tick(Timestamp(at)), [LeaderAction::Ping(leader)]);
        assert_eq!(leadership.on_tick(Timestamp(at)), [], "one at a time");
        leadership.on_pinged(PingOutcome::Failed, Timestamp(at));
    }
    assert_eq!(leadership.leader(), None);
    let asked = leadership.on_tick(Timestamp(1_004));
    assert_eq!(asked, [LeaderAction::AskRanks(vec![leader])]);
}

#[test]
fn a_leader_that_says_it_does_not_lead_is_left_at_once() {
    let (mut leadership, leader) = follower();
    assert_eq!(leadership.on_tick(Timestamp(1_001)), [LeaderAction::Ping(leader)]);
    leadership.on_pinged(PingOutcome::Denied, Timestamp(1_001));
    assert_eq!(leadership.leader(), None);
}

#[test]
fn while_its_leader_is_alive_a_follower_takes_no_other() {
    let (mut leadership, leader) = follower();
    let other = address("127.0.0.2");
    leadership.on_tick(Timestamp(1_001));
    leadership.on_pinged(PingOutcome::Answered, Timestamp(1_001));
    assert_eq!(leadership.on_notify(&other, Timestamp(1_002)).0, Err(Refusal::Busy));
    assert_eq!(leadership.on_notify(&leader, Timestamp(1_002)).0, Ok(()), "but its own again");
    leadership.on_tick(Timestamp(1_002));
    leadership.on_pinged(PingOutcome::Failed, Timestamp(1_002));
    assert_eq!(leadership.on_notify(&other, Timestamp(1_003)).0, Ok(()), "it may be dead");
}

#[test]
fn of_two_leaders_the_one_of_higher_rank_stays_and_the_other_follows() {
    let leads = TrackerRank { leads: true, ..fresh() };
    let leader = |own: &str| {
        let mut leadership = one_of_two(own);
        leadership.on_notify(&address(own), Timestamp(1_000)).0.expect("it is in the list");
        leadership.on_commit(&address(own), Timestamp(1_000)).expect("it was named");
        leadership
    };
    let (two, three) = (address("127.0.0.2"), address("127.0.0.3"));
    let mut higher = leader("127.0.0.3");
    assert_eq!(higher.on_tick(Timestamp(1_001)), [LeaderAction::AskRanks(vec![two])]);
    let named = higher.on_ranks(&[(two, leads)], 0, Timestamp(1_001));
    assert_eq!(named, [LeaderAction::Propose { candidate: three, to: vec![two] }]);
    assert_eq!(higher.on_proposed(false, 0, Timestamp(1_001)), []);
    assert!(higher.is_leading());
    assert_eq!(higher.on_tick(Timestamp(1_005)), [], "not all the time");

    let mut lower = leader("127.0.0.2");
    assert_eq!(lower.on_tick(Timestamp(1_001)), [LeaderAction::AskRanks(vec![three])]);
    let follows = lower.on_ranks(&[(three, leads)], 0, Timestamp(1_001));
    assert_eq!(follows, [LeaderAction::Follows(three), LeaderAction::Leading(false)]);
}

#[test]
fn a_leader_resigns_when_another_is_named_or_a_storage_saw_two() {
    let mut leadership = one_of_two("127.0.0.3");
    let own = address("127.0.0.3");
    assert_eq!(leadership.on_reselect(Timestamp(1_000)), Err(Refusal::NotSupported));
    leadership.on_notify(&own, Timestamp(1_000)).0.expect("it is in the list");
    leadership.on_commit(&own, Timestamp(1_000)).expect("it was named");
    assert!(leadership.is_leading());
    let (answer, actions) = leadership.on_notify(&address("127.0.0.2"), Timestamp(1_000));
    assert_eq!((answer, actions), (Err(Refusal::Invalid), vec![LeaderAction::Leading(false)]));
    assert_eq!(leadership.on_notify(&address("127.0.0.9"), Timestamp(1_000)).0, Err(Refusal::NotFound));

    leadership.on_notify(&own, Timestamp(1_000)).0.expect("it is in the list");
    leadership.on_commit(&own, Timestamp(1_000)).expect("it was named");
    assert_eq!(leadership.on_reselect(Timestamp(1_000)), Ok(vec![LeaderAction::Leading(false)]));
    assert_eq!(leadership.changes(), 4);
}

#[test]
fn a_second_address_of_a_known_tracker_is_merged() {
    let known = vec![address("192.168.0.2:22122")];
    let merged = list::merge(known, &[address("192.168.0.2,8.8.8.8:22122"), address("8.8.8.8:1")]);
    assert_eq!(merged, [address("192.168.0.2,8.8.8.8:22122"), address("8.8.8.8:1")]);
}

#[test]
fn a_peer_is_told_the_address_in_its_network() {
    let both = address("[192.168.0.2,fd00::2]:7");
    assert_eq!(both.first().to_string(), "192.168.0.2:7");
    assert_eq!(both.for_peer(ip("fd00::9")).to_string(), "[fd00::2]:7");
    assert_eq!(both.for_peer(ip("192.168.9.9")).to_string(), "192.168.0.2:7");
}
