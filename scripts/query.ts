/** `node query.ts URL SQL`: what `psql URL -c SQL` would show, where psql is not installed. */
import pg from "pg";

const [url = "", sql = ""] = process.argv.slice(2);
const client = new pg.Client({ connectionString: url });
await client.connect();
const { rows } = await client.query(sql);
for (const row of rows) console.log(Object.values(row).join(" | "));
await client.end();
