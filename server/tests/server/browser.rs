//! The page, used by two users in two browsers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::world::{World, skip_without};

struct Driver {
    process: Child,
    address: String,
}

impl Driver {
    fn start() -> Option<Driver> {
        Command::new("chromium").arg("--version").output().ok()?;
        let mut process =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().ok()?;
        let lines = BufReader::new(process.stdout.take()?).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned())
        })?;
        Some(Driver { process, address: format!("http://127.0.0.1:{port}") })
    }

    async fn browser(&self) -> Client {
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
        ];
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let capabilities = options.as_object().unwrap().clone();
        ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&self.address)
            .await
            .unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Tab(Client);

impl Tab {
    async fn click(&self, id: &str) {
        self.0.find(Locator::Id(id)).await.unwrap().click().await.unwrap();
    }

    async fn fill(&self, id: &str, text: &str) {
        let field = self.0.find(Locator::Id(id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Waits until the element `id` contains `text`.
    async fn wait_for(&self, id: &str, text: &str) {
        let path = format!("//*[@id='{id}' and contains(., '{text}')]");
        let waiting = self.0.wait().at_most(Duration::from_secs(20));
        if waiting.for_element(Locator::XPath(&path)).await.is_err() {
            let body = self.0.find(Locator::Css("body")).await.unwrap().text().await.unwrap();
            panic!("no {text:?} in {id}:\n{body}");
        }
    }

    async fn log_in(&self, world: &World, user: &str) {
        self.0.goto(&format!("http://{}/", world.address)).await.unwrap();
        self.fill("user", user).await;
        self.click("login").await;
        self.0.find(Locator::Css("#login button")).await.unwrap().click().await.unwrap();
        self.wait_for("link", "(connected)").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_users_chat_on_the_page_until_the_owner_dissolves_the_group() {
    let Some(driver) = Driver::start() else {
        return skip_without("Chromium with its driver");
    };
    let world = World::new().await;
    let (alice, bob) = (Tab(driver.browser().await), Tab(driver.browser().await));
    alice.log_in(&world, "808080").await;
    bob.log_in(&world, "808081").await;

    alice.fill("group", "6228482").await;
    alice.click("create").await;
    alice.wait_for("notice", "Group 6228482 is yours.").await;
    bob.fill("group", "1").await;
    bob.click("join").await;
    bob.wait_for("notice", "There is no such group.").await;
    bob.fill("group", "6228482").await;
    bob.click("join").await;
    bob.wait_for("members", "808080 (owner)").await;
    alice.wait_for("members", "808081").await;
    alice.wait_for("signals", "memberjoin").await;

    bob.fill("message", "<b>hello</b>").await;
    bob.0.find(Locator::Css("#post button")).await.unwrap().click().await.unwrap();
    alice.wait_for("messages", "<b>hello</b>").await;
    bob.wait_for("messages", "<b>hello</b>").await;
    if let Some(folder) = std::env::var_os("SCREENSHOTS") {
        let picture = alice.0.screenshot().await.unwrap();
        std::fs::write(std::path::Path::new(&folder).join("page.png"), picture).unwrap();
    }

    alice.click("leave").await;
    alice.wait_for("notice", "You left group 6228482.").await;
    bob.wait_for("signals", "memberkick").await;
    bob.wait_for("signals", "historypurge").await;
    bob.wait_for("notice", "Group 6228482 was dissolved by 808080").await;
    bob.fill("group", "6228482").await;
    bob.click("join").await;
    bob.wait_for("notice", "The group was dissolved by 808080 on").await;

    alice.0.close().await.unwrap();
    bob.0.close().await.unwrap();
    world.stop().await;
}
