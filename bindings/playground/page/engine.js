// The JavaScript package of disband. Every other file of the page imports it from here.

export { Engine, Refusal } from "./disband/browser.js";
