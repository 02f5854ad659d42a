// Starts the page, or says why it cannot start or go on.

function problem(error) {
  const place = document.getElementById("problem");
  place.textContent = `The playground has failed. Reload the page to start again. ${error?.message ?? ""}`;
  place.hidden = false;
}

addEventListener("error", ({ error }) => problem(error));
addEventListener("unhandledrejection", ({ reason }) => problem(reason));

await import("./playground.js");
