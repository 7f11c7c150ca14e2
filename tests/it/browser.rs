//! The status page in a real browser.

use std::fs;

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::support::{
    browser::Browser,
    daemon::Daemon,
    nats::Nats,
    scene::{Scene, config},
    target::{Answer, Target},
    tools,
};

/// An element of a row, as JavaScript.
fn row(check: &str) -> String {
    format!("document.querySelector('.row[data-check=\"{check}\"]')")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_live_and_asks_nobody_else() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let scene = Scene::set().await;
    browser.client.goto(&scene.url).await.unwrap();
    browser
        .shows(
            "the stream is open",
            "document.body.dataset.state === 'live'",
        )
        .await;
    let headline = "document.querySelector('h1').textContent";
    assert_eq!(browser.eval(headline).await, "1 of 3 checks is down");
    // A target goes down, and the page says so by itself.
    scene.target.set("/up", Answer::json("{}").status(500));
    let down = format!("{}.classList.contains('down')", row("up"));
    browser.shows("the row is down", &down).await;
    browser
        .shows(
            "the headline follows",
            &format!("{headline}.startsWith('2 of 3')"),
        )
        .await;
    browser
        .shows("and the title", "document.title.startsWith('2 of 3')")
        .await;
    scene.target.set("/up", Answer::json("{}"));
    browser.shows("it is up again", &format!("!{down}")).await;
    // What is known ages before one's eyes.
    let age = format!("{}.querySelector('.age').textContent", row("down"));
    browser
        .shows("an age", &format!("/^\\ds ago$/.test({age})"))
        .await;

    // Searching narrows at once, and Enter asks the server.
    let search = browser.client.find(Locator::Id("q")).await.unwrap();
    search.send_keys("503").await.unwrap();
    let hidden = format!("{}.hidden && !{}.hidden", row("up"), row("down"));
    browser.shows("only what matches is there", &hidden).await;
    search.send_keys("\u{e007}").await.unwrap();
    browser
        .shows(
            "the server narrows too",
            "location.search.includes('q=503')",
        )
        .await;
    assert_eq!(
        browser
            .eval("document.querySelectorAll('.row').length")
            .await,
        1
    );

    let asked = "performance.getEntriesByType('resource').map(entry => entry.name)";
    let asked = browser.eval(asked).await;
    for name in asked.as_array().unwrap() {
        assert!(name.as_str().unwrap().starts_with(&scene.url), "{asked}");
    }
    assert_eq!(browser.complaints().await, [""; 0]);
    drop(browser.client.close().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_now_tells_the_answer_in_place() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let scene = Scene::set().await;
    browser
        .client
        .goto(&format!("{}/checks/later", scene.url))
        .await
        .unwrap();
    browser
        .shows(
            "nothing is known yet",
            "document.title.startsWith('later is unknown')",
        )
        .await;
    let button = Locator::Css("form.run button");
    browser
        .client
        .find(button)
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    let said = "document.querySelector('form.run output').textContent";
    browser
        .shows("the verdict", &format!("{said}.startsWith('pass: 200')"))
        .await;
    browser
        .shows(
            "the page follows",
            "document.title.startsWith('later is up')",
        )
        .await;
    let report = "document.getElementById('json').textContent.includes('\"check\": \"later\"')";
    browser.shows("and the report", report).await;
    assert_eq!(scene.target.hits("/later"), 1);
    assert_eq!(browser.complaints().await, [""; 0]);
    // When supercheck goes, the page says so.
    drop(scene);
    browser
        .shows("it is away", "!document.getElementById('away').hidden")
        .await;
    drop(browser.client.close().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_remembered_where_it_is_right() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let nats = Nats::start().await;
    let target = Target::start().await;
    let env = [("SUPERCHECK_HTTP__TOKEN", "run-it")];
    let daemon = Daemon::serve_with(&config(&nats, &target), &[], &env);
    daemon.ready().await;
    let page = format!("{}/checks/later", daemon.http().await);
    browser.client.goto(&page).await.unwrap();
    let click = async |css: &str| {
        let found = browser.client.find(Locator::Css(css)).await.unwrap();
        found.click().await.unwrap();
    };
    let open = "document.getElementById('token').open";
    let said = "document.querySelector('form.run output').textContent";
    let give = async |token: &str| {
        click("form.run button").await;
        browser.shows("the dialog", open).await;
        let input = browser.client.find(Locator::Css("#token input")).await;
        input.unwrap().send_keys(token).await.unwrap();
    };
    // Who has none is told what is missing, and so is who has another.
    give("").await;
    click("#token button[value='']").await;
    let refused = format!("{said}.includes('needs a token')");
    browser.shows("it is refused", &refused).await;
    give("guess").await;
    click("#token button[value=ok]").await;
    browser.shows("it is refused", &refused).await;
    assert_eq!(target.hits("/later"), 0);
    // Enter sends the dialog, as its button does.
    give("run-it\u{e007}").await;
    let passed = format!("{said}.startsWith('pass: 200')");
    browser.shows("the verdict", &passed).await;
    assert_eq!(browser.eval(open).await, false);
    // It is asked for once, and where it stands is gone with the tab.
    browser.client.goto(&page).await.unwrap();
    click("form.run button").await;
    browser.shows("the verdict", &passed).await;
    assert_eq!(target.hits("/later"), 2);
    let kept = "document.cookie + JSON.stringify(localStorage)";
    assert_eq!(browser.eval(kept).await, "{}");
    drop(browser.client.close().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_for_everybody_in_light_dark_and_on_a_phone() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let axe = tools::root().join("tests/clients/node_modules/axe-core/axe.min.js");
    if !tools::has(&axe, "axe-core") {
        return;
    }
    let axe = fs::read_to_string(axe).unwrap();
    let scene = Scene::set().await;
    let ground = "getComputedStyle(document.body).backgroundColor";
    let mut grounds = Vec::new();
    for (name, scheme, width, path) in [
        ("light", "light", 1280, "/"),
        ("dark", "dark", 1280, "/"),
        ("phone", "light", 390, "/"),
        ("check-light", "light", 1280, "/checks/down"),
        ("check-dark", "dark", 1280, "/checks/down"),
        ("check-phone", "light", 390, "/checks/down"),
    ] {
        browser.prefers(scheme, width, 900).await;
        browser
            .client
            .goto(&format!("{}{path}", scene.url))
            .await
            .unwrap();
        browser
            .shows(
                "the stream is open",
                "document.body.dataset.state === 'live'",
            )
            .await;
        grounds.push(browser.eval(ground).await);
        browser.picture(name).await;
        let wide = "document.documentElement.scrollWidth <= window.innerWidth";
        assert_eq!(
            browser.eval(wide).await,
            true,
            "{name} is wider than the screen"
        );
        let script = format!(
            "{axe}; const done = arguments[arguments.length - 1]; \
             axe.run(document).then(found => done(found.violations.map(one => \
             [one.impact, one.id, one.nodes.map(node => node.html).slice(0, 3)])))"
        );
        let found = browser
            .client
            .execute_async(&script, Vec::new())
            .await
            .unwrap();
        let serious = |one: &&Value| one[0] == json!("serious") || one[0] == json!("critical");
        let bad: Vec<_> = found.as_array().unwrap().iter().filter(serious).collect();
        assert!(bad.is_empty(), "{name}: {bad:#?}");
    }
    assert_ne!(grounds[0], grounds[1], "dark is dark");
    assert_eq!(browser.complaints().await, [""; 0]);
    drop(browser.client.close().await);
}
