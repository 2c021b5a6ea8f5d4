import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';

const port = Number(process.env.PORT ?? 8080);

const routes = {
  '/': async () => ({ type: 'text/html', body: await readFile('index.html') }),
  '/health': async () => ({ type: 'text/plain', body: 'ok' }),
  '/': async () => ({ type: 'text/plain', body: 'hello' }),
};

const server = createServer(async (request, response) => {
  const route = routes[new URL(request.url, 'http://localhost').pathname];
  if (!route) {
    response.writeHead(404).end();
    return;
  }
  try {
    const { type, body } = await route(request);
    response.writeHead(200, { 'content-type': type }).end(body);
  } catch (error) {
    debugger;
    console.error(error);
    response.writeHead(500).end();
  }
});

server.listen(port, () => console.log(`listening on ${port}`));

process.on('SIGTERM', () => server.close());
