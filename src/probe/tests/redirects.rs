//! Redirects: followed up to the limit, with nothing secret beyond the origin.

use super::{target::header, *};

/// Answers each request by what `answer` makes of its first line.
async fn routed(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Listening {
    let answer = Arc::new(answer);
    Listening::serving(move |mut accepted| {
        let answer = Arc::clone(&answer);
        async move {
            while let Some(request) = accepted.request().await {
                let line = request.lines().next().unwrap_or_default();
                accepted.say(&answer(line)).await?;
            }
            Ok(())
        }
    })
    .await
}

/// Redirects `/` to `location`, and answers everything else.
async fn redirecting(status: u16, location: impl Into<String>) -> Listening {
    let location = location.into();
    routed(move |line| {
        if line.contains(" / ") {
            to(status, &location)
        } else {
            OK.to_owned()
        }
    })
    .await
}

#[tokio::test]
async fn redirects_are_followed_and_counted() {
    let target = routed(|line| match line {
        "GET / HTTP/1.1" => to(301, "one"),
        "GET /one HTTP/1.1" => to(302, "?two"),
        "GET /one?two HTTP/1.1" => to(308, "/three#part"),
        "GET /three HTTP/1.1" => OK.to_owned(),
        other => panic!("{other}"),
    })
    .await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    assert_eq!(answer(&observation).redirects.len(), 3);
    assert_eq!(answer(&observation).body, "ok");
    // Redirects are followed over the larger client's own connection.
    assert_eq!(target.connections(), 1 + usize::from(LEAN));
}

#[tokio::test]
async fn the_time_of_every_hop_counts() {
    let pause = Duration::from_millis(50);
    let target = Listening::serving(move |mut accepted| async move {
        for answer in [to(302, "/slow"), to(302, "/slower"), OK.to_owned()] {
            accepted.request().await;
            tokio::time::sleep(pause).await;
            accepted.say(&answer).await?;
        }
        accepted.until_let_go().await
    })
    .await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    // Every connection hears all of it.
    let redirects = 2 + usize::from(LEAN);
    assert_eq!(answer(&observation).redirects.len(), redirects);
    let phases = observation.phases;
    assert!(phases.first_byte.unwrap() >= (u32::try_from(redirects).unwrap() + 1) * pause);
    let sum = phases.connect.unwrap() + phases.first_byte.unwrap() + phases.transfer.unwrap();
    assert!(sum <= observation.latency, "{observation:?}");
}

#[tokio::test]
async fn a_loop_ends_at_the_limit_and_names_it() {
    let target = routed(|_| to(302, "/again?token=hush")).await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    let Failure::Redirect(why) = failure(&observation) else {
        panic!("{observation:?}");
    };
    let last = target.url("/again");
    assert_eq!(why, &format!("more than 3 in a row, the last to `{last}`"));
    assert_eq!(observation.response.as_ref().unwrap().status, 302);
    assert_eq!(target.requests().len(), 4);
}

#[tokio::test]
async fn with_no_redirects_allowed_a_redirect_is_the_answer() {
    for location in ["/elsewhere", "file:///etc/passwd", "http://["] {
        let target = redirecting(302, location).await;
        let mut question = get(&target.url("/"));
        question.max_redirects = 0;
        let observation = observe(&question, LONG).await;
        assert_eq!(answer(&observation).status, 302);
        assert_eq!(answer(&observation).header("location"), Some(location));
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_in_particular_is_the_answer() {
    let observation = told("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(answer(&observation).status, 302);
    let observation = told("HTTP/1.1 304 Not Modified\r\nLocation: /elsewhere\r\n\r\n").await;
    assert_eq!(answer(&observation).status, 304);
}

#[tokio::test]
async fn a_redirect_that_cannot_be_followed_is_a_failure() {
    for (location, why) in [
        ("file:///etc/passwd", "to `file:`, which is not HTTP"),
        ("ftp://127.0.0.1/", "to `ftp:`, which is not HTTP"),
        ("javascript:alert(1)", "to `javascript:`, which is not HTTP"),
        ("http://[", "to a place that is no URL"),
        ("http://a b/", "to a place that is no URL"),
    ] {
        let target = redirecting(302, location).await;
        let observation = observe(&get(&target.url("/")), LONG).await;
        assert_eq!(failure(&observation), &Failure::Redirect(why.to_owned()));
    }
    let long = format!("/{}", "x".repeat(100_000));
    let target = redirecting(302, long).await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    assert!(
        failure(&observation).to_string().len() < 300,
        "{observation:?}"
    );
}

#[tokio::test]
async fn what_fails_after_a_redirect_is_of_the_last_hop() {
    let silent = Listening::serving(|mut accepted| async move { accepted.until_let_go().await });
    let silent = silent.await;
    let target = redirecting(302, silent.url("/")).await;
    let observation = observe(&get(&target.url("/")), SHORT).await;
    timed_out(&observation, Phase::FirstByte);
    assert!(observation.response.is_none(), "the redirect is no answer");
    let gone = Listening::answering(OK).await.gone().await;
    let target = redirecting(302, gone).await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    assert_eq!(failure(&observation), &Failure::Refused);
}

#[tokio::test]
async fn nothing_configured_crosses_to_another_origin_or_comes_back_from_one() {
    let home = Arc::new(std::sync::OnceLock::<String>::new());
    let back = Arc::clone(&home);
    let foreign = routed(move |line| match line {
        "GET /away HTTP/1.1" => to(302, back.get().unwrap()),
        other => panic!("{other}"),
    })
    .await;
    let away = foreign.url("/away");
    let target = routed(move |line| match line {
        "GET /same HTTP/1.1" => to(302, &away),
        "GET /back HTTP/1.1" => to(302, "/last"),
        "GET /last HTTP/1.1" => OK.to_owned(),
        _ => to(302, "/same"),
    })
    .await;
    home.set(target.url("/back")).unwrap();

    let mut question = get(&target.url("/").replace("//", "//me:hush@"));
    question.max_redirects = 4;
    for (name, value) in [("Cookie", "session=hush"), ("X-Api-Key", "hush")] {
        question = with_header(question, name, value);
    }
    question = with_header(question, "Accept", "application/hush");
    let observation = observe(&question, LONG).await;
    assert_eq!(answer(&observation).body, "ok");
    let [first, same, back, last] = target.requests().try_into().unwrap();
    for own in [&first, &same] {
        assert_eq!(header(own, "cookie"), Some("session=hush"));
        assert_eq!(header(own, "x-api-key"), Some("hush"));
        assert_eq!(header(own, "authorization"), Some("Basic bWU6aHVzaA=="));
    }
    for other in [&foreign.requests()[0], &back, &last] {
        assert!(!other.contains("hush"), "{other}");
        assert_eq!(header(other, "authorization"), None);
        assert_eq!(header(other, "referer"), None);
        assert!(header(other, "accept").is_some());
    }
}

#[tokio::test]
async fn the_method_is_rewritten_as_the_rules_say() {
    for (status, method, next) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (302, "HEAD", "HEAD"),
    ] {
        let target = redirecting(status, "/next").await;
        let mut question = with_header(get(&target.url("/")), "Content-Type", "text/plain");
        question.method = method.to_owned();
        question.body = (method != "HEAD").then(|| Secret::new("payload"));
        // The healthy body that follows a HEAD is not read.
        prober().probe(&question, LONG).await;
        let requests = target.requests();
        let last = requests.last().unwrap();
        assert!(
            last.starts_with(&format!("{next} /next ")),
            "{status} {method}: {last}"
        );
        assert_eq!(
            last.ends_with("payload"),
            next == method && method != "HEAD",
            "{last}"
        );
        assert_eq!(
            header(last, "content-type").is_some(),
            next == method,
            "{last}"
        );
    }
}

#[tokio::test]
async fn a_body_is_not_sent_to_another_origin() {
    let foreign = Listening::answering(OK).await;
    let target = redirecting(307, foreign.url("/")).await;
    let mut question = get(&target.url("/"));
    question.method = "POST".to_owned();
    question.body = Some(Secret::new("hush"));
    let observation = observe(&question, LONG).await;
    let text = failure(&observation).to_string();
    assert_eq!(
        text,
        "redirect: to another origin, which must not get the body"
    );
    assert_eq!(foreign.connections(), 0);
}
