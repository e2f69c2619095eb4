// nodemailer's pool: node nodemailer.cjs MESSAGE_FILE PORT MESSAGES CONNECTIONS [KEY_FILE]
"use strict";
const fs = require("node:fs");
const nodemailer = require("nodemailer");

const [port, messages, connections] = process.argv.slice(3, 6).map(Number);
const keyFile = process.argv[6];
const message = { from: "Example Shop <news@shop.example.com>", ...JSON.parse(fs.readFileSync(process.argv[2], "utf8")) };
const transport = nodemailer.createTransport({
  host: "127.0.0.1",
  port,
  pool: true,
  maxConnections: connections,
  maxMessages: Infinity,
  ignoreTLS: true,
  ...(keyFile && {
    dkim: { domainName: "shop.example.com", keySelector: "bench", privateKey: fs.readFileSync(keyFile, "utf8") },
  }),
});

const started = process.hrtime.bigint();
const before = process.cpuUsage();
const sends = [];
for (let number = 0; number < messages; number++) {
  sends.push(transport.sendMail({ ...message, to: `ann.lee${number}@customers.example.com` }));
}
Promise.all(sends).then(() => {
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const { user, system } = process.cpuUsage(before);
  transport.close();
  console.log(JSON.stringify({ messages, seconds, cpu_seconds: (user + system) / 1e6 }));
});
