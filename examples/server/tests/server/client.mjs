// What a client of the chat API does, with nothing but what every JavaScript engine has: it connects,
// leaves a group as the API's page shows it, and prints the reply and the signals that come.
const [leave, host, id, signals] = process.argv.slice(2);

const socket = new WebSocket(`ws://${host}?id=${id}`);
const received = [];
const enough = new Promise((resolve, reject) => {
  socket.addEventListener("error", () => reject(new Error("no socket")));
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
