// A client of the chat API. It uses only what every JavaScript engine has. It opens a WebSocket,
// sends a leave as the API's documentation shows it, and prints the reply and the signals received.
const [leave, host, id, signals] = process.argv.slice(2);

const socket = new WebSocket(`ws://${host}?id=${id}`);
const received = [];
const enough = new Promise((resolve, reject) => {
  socket.addEventListener("error", () => reject(new Error("the WebSocket failed")));
  socket.addEventListener("message", (event) => {
    received.push(JSON.parse(event.data.toString()));
    if (received.length === Number(signals)) resolve();
  });
});
await new Promise((resolve) => socket.addEventListener("open", resolve));

const response = await fetch(leave, {
  method: "POST",
  headers: { "Content-Type": "application/json", Accept: "application/json" },
  body: JSON.stringify({}),
});
const reply = { status: response.status, body: await response.json() };
await enough;
socket.close();
console.log(JSON.stringify({ reply, received }));
