//! That each request has one result: what is asked, and how it is judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_nats::jetstream;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{
    asker::{self, Answer, Answers, Wish},
    clients::Client,
    stage::Stage,
    target::Target,
    wait,
};

/// Ids begin so.
const OURS: &str = "id-";

/// `n` ids, each sent one to three times, as a request or as a publish.
pub fn wishes(n: usize, checks: usize, gap: Duration, random: &mut fastrand::Rng) -> Vec<Wish> {
    let gap = u64::try_from(gap.as_millis()).unwrap();
    let mut wishes = Vec::new();
    for number in 0..n {
        let check = format!("c{}", random.usize(..checks));
        for copy in 0..random.u8(1..=3) {
            wishes.push(Wish {
                id: format!("{OURS}{number}"),
                check: check.clone(),
                // What is only published is asked for at the end.
                publish: copy > 0 && random.bool(),
                after: Duration::from_millis(random.u64(0..gap)),
            });
        }
    }
    wishes
}

/// Holds what was asked and answered, and is asked again at `url`, to what was
/// promised.
///
/// The checks that were asked answer with [`target::Answer::numbered`], at
/// `/<name>`, and are never due.
pub async fn judge(
    client: Client,
    url: &str,
    stage: &mut Stage,
    target: &Target,
    wishes: &[Wish],
    answers: &Answers,
) {
    let js = stage.servers[0].jetstream().await;
    let queue = async || {
        let mut queue = js.get_stream("SUPERCHECK_REQUESTS").await.ok()?;
        (queue.info().await.ok()?.state.messages == 0).then_some(())
    };
    wait::until("the queue is empty", queue).await;
    let checks: BTreeMap<&str, &str> = wishes
        .iter()
        .map(|wish| (wish.id.as_str(), wish.check.as_str()))
        .collect();
    let recorded = recorded(&js).await;
    let ids: BTreeSet<_> = recorded.keys().map(String::as_str).collect();
    assert_eq!(
        ids,
        checks.keys().copied().collect(),
        "one record for each id"
    );
    for (id, runs) in asker::runs(answers) {
        assert_eq!(
            runs,
            BTreeSet::from([recorded[id].as_str()]),
            "answers to {id}"
        );
    }

    // Asked again, each instance alone gives the one result, and refuses the
    // id for another check.
    let (mut probes, mut unprobed) = (BTreeSet::new(), BTreeSet::new());
    for instance in 0..stage.daemons.len() {
        let others = || (0..).filter(move |other| *other != instance);
        for other in others().take(stage.daemons.len() - 1) {
            stage.daemons[other].kill();
        }
        let again: Vec<_> = checks.iter().map(|(id, check)| wish(id, check)).collect();
        for (id, answers) in asker::ask(client, url, &again).await {
            let [Answer::Report(report)] = answers.as_slice() else {
                panic!("{id}: {answers:?}");
            };
            assert_eq!(report["run"], recorded[&id].as_str(), "{id}");
            let run = (report["check"].to_string(), recorded[&id].clone());
            match report["response"]["body"]["hit"].as_u64() {
                Some(hit) => drop(probes.insert((run.0, hit))),
                // Without descriptors, say: the answer is that there is none.
                None => {
                    let why = report["message"].as_str().unwrap_or_default();
                    let own = why.starts_with("supercheck itself cannot probe");
                    assert!(own && report["held"].is_object(), "no probe: {report}");
                    unprobed.insert(run);
                }
            }
        }
        let (id, check) = checks.first_key_value().unwrap();
        let other = if *check == "c0" { "c1" } else { "c0" };
        let refused = asker::ask(client, url, &[wish(id, other)]).await;
        assert_eq!(refused[*id], [Answer::Refused(409)]);
        for other in others().take(stage.daemons.len() - 1) {
            stage.daemons[other].crash_and_start_again();
        }
        stage.settled().await;
    }

    let probes = (probes.len(), unprobed.len());
    costs(stage, target, &checks, &recorded, probes);
}

/// What it cost the target.
fn costs(
    stage: &Stage,
    target: &Target,
    checks: &BTreeMap<&str, &str>,
    recorded: &BTreeMap<String, String>,
    (probes, unprobed): (usize, usize),
) {
    // The target numbers its answers, so a run that is recorded was seen by
    // it, and no two runs have the same probe.
    let runs: BTreeSet<_> = recorded.values().collect();
    let probed = runs.len() - unprobed;
    assert_eq!(probes, probed, "each recorded run has its own probe");
    let names: BTreeSet<_> = checks.values().collect();
    let hits: u64 = names
        .iter()
        .map(|name| target.hits(&format!("/{name}")))
        .sum();
    // A fault can cost a daemon that it reaches the run in flight of each
    // check, its second probe if the daemon was paused, and the run that was to
    // follow for who came too late for the first: their requests go to another
    // worker before their record is made.
    let most = runs.len() as u64 + 3 * names.len() as u64 * stage.reached;
    let (ids, made) = (recorded.len(), runs.len());
    eprintln!("{ids} ids, {made} runs, {unprobed} of them without a probe, {hits} probes");
    assert!((probed as u64..=most).contains(&hits), "{hits} > {most}");
    assert!(runs.len() <= recorded.len());
}

fn wish(id: &str, check: &str) -> Wish {
    Wish {
        id: id.to_owned(),
        check: check.to_owned(),
        publish: false,
        after: Duration::ZERO,
    }
}

/// The run that is recorded under each id.
async fn recorded(js: &jetstream::Context) -> BTreeMap<String, String> {
    let mut ledger = wait::until("the records", async || {
        js.get_stream("KV_supercheck_requests").await.ok()
    })
    .await;
    let last = ledger.info().await.unwrap().state.last_sequence;
    let mut recorded = BTreeMap::new();
    for sequence in 1..=last {
        let Ok(message) = ledger.get_raw_message(sequence).await else {
            continue;
        };
        let Some(token) = message.subject.strip_prefix("$KV.supercheck_requests.id.") else {
            continue;
        };
        let id = String::from_utf8(URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
        // Others may have asked meanwhile, for other things.
        if !id.starts_with(OURS) {
            continue;
        }
        let record: Value = serde_json::from_slice(&message.payload).unwrap();
        // The server took it on the condition that nothing was there.
        let condition = message.headers.get("Nats-Expected-Last-Subject-Sequence");
        assert_eq!(condition.unwrap().as_str(), "0");
        let run = record["run"].as_str().expect("no refusal").to_owned();
        recorded.insert(id, run);
    }
    recorded
}
