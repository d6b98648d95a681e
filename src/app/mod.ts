/**
 * The App Service: the agent beside the apps. It announces them, keeps
 * connections to the proxies, decides alone who may reach an app, dials it
 * before it accepts, and records every connection.
 *
 * It lacks on purpose: the serving of web apps, which it only announces.
 */
export { type AppService, type AppServiceOptions, startApp } from "./app.ts";
export { Connections, type ConnectionsOptions } from "./connection.ts";
