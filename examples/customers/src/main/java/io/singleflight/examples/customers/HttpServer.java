package io.singleflight.examples.customers;

import java.net.InetAddress;
import java.net.URI;
import java.net.URL;
import java.util.Map;
import java.util.function.Function;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.ContextHandler;
import org.eclipse.jetty.server.handler.ContextHandlerCollection;
import org.eclipse.jetty.server.handler.ResourceHandler;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;
import org.eclipse.jetty.util.VirtualThreads;
import org.eclipse.jetty.util.component.LifeCycle;
import org.eclipse.jetty.util.resource.ResourceFactory;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import tools.jackson.databind.json.JsonMapper;

/** Serves JSON routes and the page's files, on the loopback address. A route may block. */
final class HttpServer implements AutoCloseable {
  /* Where the JVM has no virtual threads, each request of the largest herd takes one of these. */
  private static final int THREADS = Herd.MAX_REQUESTS + 100;

  /* Longer than any deadline: a request that waits for the database is not an idle connection. */
  private static final long IDLE_MILLIS = 600_000;

  private static final String PAGE = "web/index.html";
  private static final String CHARTS =
      "META-INF/resources/webjars/uplot/1.6.30/dist/uPlot.iife.min.js";

  private static final JsonMapper JSON = new JsonMapper();

  private final Server server;
  private final URI uri;

  private HttpServer(Server server, URI uri) {
    this.server = server;
    this.uri = uri;
  }

  /**
   * Starts serving.
   *
   * @param port 0 for a free one
   * @param routes by method and path, such as {@code GET /customers}, given where they are served
   */
  static HttpServer start(int port, Function<URI, Map<String, Route>> routes) throws Exception {
    QueuedThreadPool threads = new QueuedThreadPool(THREADS);
    threads.setName("http");
    threads.setVirtualThreadsExecutor(VirtualThreads.getNamedVirtualThreadsExecutor("http-"));
    Server server = new Server(threads);
    HttpConfiguration config = new HttpConfiguration();
    config.setSendServerVersion(false);
    ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(config));
    connector.setHost(InetAddress.getLoopbackAddress().getHostAddress());
    connector.setPort(port);
    connector.setAcceptQueueSize(Herd.MAX_REQUESTS);
    connector.setIdleTimeout(IDLE_MILLIS);
    server.addConnector(connector);
    try {
      connector.open();
      URI uri = URI.create("http://" + connector.getHost() + ":" + connector.getLocalPort());
      server.setHandler(
          new Handler.Sequence(
              new Routes(routes.apply(uri)),
              new ContextHandlerCollection(
                  new ContextHandler(filesBeside(server, PAGE), "/"),
                  new ContextHandler(filesBeside(server, CHARTS), "/charts"))));
      server.start();
      return new HttpServer(server, uri);
    } catch (Exception e) {
      LifeCycle.stop(server);
      connector.close();
      throw e;
    }
  }

  URI uri() {
    return uri;
  }

  /** Returns when the server has been stopped. */
  void join() throws InterruptedException {
    server.join();
  }

  @Override
  public void close() {
    LifeCycle.stop(server);
  }

  /* Found by one of its files: a jar may do without entries for its folders. */
  private static ResourceHandler filesBeside(Server server, String classpathFile) {
    URL file = HttpServer.class.getClassLoader().getResource(classpathFile);
    if (file == null) {
      throw new IllegalStateException("Not on the class path: " + classpathFile);
    }
    String folder = file.toString().substring(0, file.toString().lastIndexOf('/') + 1);
    ResourceHandler files = new ResourceHandler();
    files.setBaseResource(ResourceFactory.of(server).newResource(URI.create(folder)));
    files.setDirAllowed(false);
    return files;
  }

  /** Answers one kind of request; may block. */
  @FunctionalInterface
  interface Route {
    Answer answer(Fields parameters) throws Exception;
  }

  /** A status and what to send as JSON. */
  record Answer(int status, Object body) {
    static Answer error(int status, String message) {
      return new Answer(status, Map.of("error", message));
    }
  }

  private static final class Routes extends Handler.Abstract {
    private final Map<String, Route> routes;

    Routes(Map<String, Route> routes) {
      this.routes = Map.copyOf(routes);
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
      String path = Request.getPathInContext(request);
      Route route = routes.get(request.getMethod() + " " + path);
      if (route == null) {
        return false;
      }
      Answer answer = route.answer(Request.extractQueryParameters(request));
      response.setStatus(answer.status());
      response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
      Content.Sink.write(response, true, JSON.writeValueAsString(answer.body()), callback);
      return true;
    }
  }
}
