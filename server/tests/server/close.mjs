// Opens a WebSocket, closes it, and prints how it ended.
const [url] = process.argv.slice(2);

const socket = new WebSocket(url);
socket.addEventListener("open", () => socket.close(1000, "done"));
socket.addEventListener("close", ({ code, wasClean }) => {
  console.log(JSON.stringify({ code, wasClean }));
});
