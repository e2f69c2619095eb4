// Updates the progress page: loads the figures every two seconds until they no longer change.
"use strict";

const SECONDS = 2;
const TURNS_BETWEEN_CHARTS = 5;
const SECONDS_BETWEEN_NEWS = 10; // Screen readers announce the progress no more often than this.

const root = document.getElementById("campaign-progress");
const now = document.getElementById("campaign-now");
const figures = document.getElementById("campaign-figures");
const actions = document.getElementById("campaign-actions");
const news = document.getElementById("campaign-news");
const lost = document.getElementById("campaign-lost");
const test = document.getElementById("campaign-test");
const forecast = document.getElementById("campaign-forecast");
const pace = document.getElementById("campaign-pace");
const paceTable = document.getElementById("campaign-pace-table");
let toldAt = 0;
let turn = 0;

function status() {
  return actions.querySelector("[data-status]").dataset.status;
}

function show(progress) {
  lost.hidden = true;
  const wereOpen = [...figures.querySelectorAll("details")].map((details) => details.open);
  const focused = figures.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  now.innerHTML = progress.now;
  figures.innerHTML = progress.figures;
  figures.querySelectorAll("details").forEach((details, index) => { details.open = wereOpen[index] || false; });
  if (focused) [...figures.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  // A part in use is not replaced, so that nobody loses a choice.
  if (progress.test && !test.contains(document.activeElement) && !test.querySelector("details[open]")) {
    test.innerHTML = progress.test;
  }
  if (progress.forecast !== undefined) forecast.innerHTML = progress.forecast;
  if (progress.pace) {
    pace.hidden = progress.pace.labels.length === 0;
    window.campaignCharts.draw(pace.querySelector("canvas"), progress.pace);
    paceTable.innerHTML = progress.pace_table;
  }
  const before = status();
  const fresh = document.createElement("div");
  fresh.innerHTML = progress.actions;
  const after = fresh.querySelector("[data-status]").dataset.status;
  const isBusy = actions.contains(document.activeElement) || actions.querySelector("details[open]");
  // Buttons in use are replaced only if a new status has changed their meaning.
  if (before !== after || (!isBusy && actions.innerText !== fresh.innerText)) {
    actions.replaceChildren(...fresh.childNodes);
  }
  // A message of the last click, such as “Campaign queued.”, is no longer true.
  if (before !== after) document.querySelector("[data-answer=messages]")?.replaceChildren();
  if (before !== after || !progress.is_live || Date.now() - toldAt > SECONDS_BETWEEN_NEWS * 1000) {
    news.textContent = progress.summary;
    toldAt = Date.now();
  }
}

async function ask() {
  try {
    const url = turn++ % TURNS_BETWEEN_CHARTS ? root.dataset.url : `${root.dataset.url}?pace`;
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    if (response.redirected || response.status === 403) {
      lost.textContent = root.dataset.saysSignedOut;
      lost.hidden = false;
      return;
    }
    if (!response.ok) throw new Error(response.statusText);
    const progress = await response.json();
    show(progress);
    if (!progress.is_live) return;
  } catch {
    lost.textContent = root.dataset.saysLost;
    lost.hidden = false;
  }
  setTimeout(ask, SECONDS * 1000);
}

if (root && root.dataset.live === "yes") setTimeout(ask, SECONDS * 1000);
