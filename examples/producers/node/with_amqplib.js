// Send a cancel job with amqplib: `node with_amqplib.js kill < job.json`.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import amqp from "amqplib";

const given = process.env.CELERY_BROKER_URL ?? "amqp://guest:guest@127.0.0.1:5672//";
// Celery writes the virtual host / as //, amqplib as /%2F.
const url = given.endsWith("//") ? given.slice(0, -1) + "%2F" : given;

const [priority] = process.argv.slice(2);
const body = readFileSync(0); // standard input, as it is: numbers beyond 2^53 stay whole
const job = JSON.parse(body.toString("utf-8"));

const connection = await amqp.connect(url, { timeout: 10_000 });
const channel = await connection.createConfirmChannel();
let returned = false;
channel.on("return", () => (returned = true));

channel.publish("cancel.jobs", `${priority}.${job.account}`, body, {
  contentType: "application/json",
  contentEncoding: "utf-8",
  messageId: job.job_id ?? randomUUID(),
  userId: decodeURIComponent(new URL(url).username || "guest"), // the broker checks it
  persistent: true,
  mandatory: true,
});
await channel.waitForConfirms();
await connection.close();

if (returned) {
  console.error("no queue took the job: is the account's name right, is a worker there?");
  process.exitCode = 1;
}
